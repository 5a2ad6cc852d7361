"""The log of the requests: which one has written an item is told exactly, whatever was sent with
it, however often."""

from __future__ import annotations

import random
import threading
from pathlib import Path

import orjson
import pytest

from load.history.request_log import Kind, RequestLog, requests_in
from load.sending.line_places import SentTogether
from load.writing.batches import batches
from utils.files.pieces import ByteRange


def line(sale: int, child: int = 0) -> bytes:
    sort_key = f"LINE#{child}" if child else "METADATA"
    keys = {"PK": {"S": f"SALE#{sale}"}, "SK": {"S": sort_key}, "notes": {"S": "x" * (child % 7)}}
    return orjson.dumps({"Item": keys}) + b"\n"


def file_of(dice: random.Random) -> list[bytes]:
    sales = range(dice.randint(1, 12))
    return [line(sale, child) for sale in sales for child in range(dice.choice((1, 1, 3, 9)))]


def places_of(lines: list[bytes], start: int) -> dict[bytes, ByteRange]:
    places = {}
    for each in lines:
        places[each] = ByteRange(start, start + len(each))
        start += len(each)
    return places


@pytest.mark.parametrize("seed", range(80))
def test_the_requests_that_wrote_a_record_are_found(tmp_path: Path, seed: int) -> None:
    """A model knows, for every line, the request that has written it; random lines are not sent,
    and answers leave random lines unprocessed, which go out again, or are none at all."""
    dice, lines = random.Random(seed), file_of(random.Random(seed))
    usual = seed % 4 == 0
    path, loaded, start = tmp_path / "requests", tmp_path / "loaded", dice.choice((0, 7_000))
    loaded.write_bytes(b"\n" * start + b"".join(lines))
    sent = [n for n in range(len(lines)) if usual or seed % 3 or dice.random() < 0.8]
    expected: dict[bytes, str] = {}
    with RequestLog(path) as log:
        together, size = SentTogether(start, lines, sent, sum(map(len, lines))), dice.randint(1, 6)
        for opens in (False, True):
            sort = [lines[n] for n in sent if (b"METADATA" in lines[n]) == opens]
            for batch in batches(sort, size):
                answers = []
                left = batch if usual or dice.random() < 0.9 else []
                while left:
                    whole = usual or dice.random() < 0.6
                    done = left if whole else dice.sample(left, dice.randint(1, len(left)))
                    request = f"request{len(expected)}x{dice.random()}"
                    written = [each.rstrip(b"\n") for each in left if each in done]
                    answers.append((written, request, not usual and dice.random() < 0.2))
                    expected |= dict.fromkeys(written, request)
                    left = [each for each in left if each not in done]
                together.note(len(batch), answers, opens=opens)
        together.tell(log)
    if usual:
        assert path.read_bytes().count(b"\n") == (1 if lines else 0)
    for each, place in places_of(lines, start).items():
        wanted = expected.get(each.rstrip(b"\n"))
        head, children = requests_in(path, loaded, place)
        if b"METADATA" in each:
            assert (head.request_id if head else None) == wanted
        else:
            assert [found.request_id for found in children] == ([wanted] if wanted else [])


def test_what_is_known_of_a_request(tmp_path: Path) -> None:
    path, loaded = tmp_path / "requests", tmp_path / "loaded"
    with RequestLog(path) as log:
        log.add(Kind.BATCH, [(0, 100)], "A1", opens=True)
        log.add(Kind.TRANSACTION, [(40, 60)], "", opens=False)
    head, children = requests_in(path, loaded, ByteRange(0, 60))
    assert head is not None
    assert (head.kind, head.request_id) == (Kind.BATCH, "A1")
    assert head.at.endswith("Z")
    assert [(each.kind, each.request_id) for each in children] == [(Kind.TRANSACTION, "")]
    assert requests_in(path, loaded, ByteRange(100, 120)) == (None, [])
    assert (path.stat().st_mode & 0o777) == 0o600


def test_a_torn_or_foreign_line_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "requests"
    with RequestLog(path) as log:
        log.add(Kind.BATCH, [(0, 10)], "A1", opens=True)
    with path.open("ab") as handle:
        handle.write(b"B 0 10 17\nB 0 10 1700000000000 A2 A3\n\x1b[31m\nZ 0 10 1 A4\n")
        handle.write(b"G 0 10\nG 0 10 B:1:1:A5 x\nG 0 10 B:1:170000")
    head, _ = requests_in(path, tmp_path / "loaded", ByteRange(0, 10))
    assert head is not None and head.request_id == "A1"


def test_a_log_that_cannot_be_kept_is_in_nobody_s_way(tmp_path: Path) -> None:
    for path in (None, tmp_path / "missing" / "requests", Path("/dev/full")):
        with RequestLog(path) as log:
            log.add(Kind.BATCH, [(0, 10)], "A1", opens=True)
            log.flush()
    nothing = requests_in(tmp_path / "missing" / "requests", tmp_path, ByteRange(0, 5))
    assert nothing == (None, [])


def test_threads_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "requests"
    with RequestLog(path) as log:

        def work(number: int) -> None:
            for n in range(500):
                log.add(Kind.BATCH, [(number * 500 + n, number * 500 + n + 1)], "A", opens=True)
                if n % 7 == 0:
                    log.flush()

        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(set(path.read_bytes().splitlines())) == 2_000
