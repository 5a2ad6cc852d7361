"""The log of the requests: which one has written an item is told exactly, whatever was sent with
it, however often."""

from __future__ import annotations

import random
import threading
from pathlib import Path

import orjson
import pytest

from load.history.request_log import Kind, LoggedRequest, RequestLog, request_for
from load.sending.line_places import SortedLines


def line(sale: int, child: int = 0) -> bytes:
    sort_key = f"LINE#{child}" if child else "METADATA"
    keys = {"PK": {"S": f"SALE#{sale}"}, "SK": {"S": sort_key}, "notes": {"S": "x" * (child % 7)}}
    return orjson.dumps({"Item": keys}) + b"\n"


def file_of(dice: random.Random) -> list[bytes]:
    sales = range(dice.randint(1, 12))
    return [line(sale, child) for sale in sales for child in range(dice.choice((1, 1, 3, 9)))]


@pytest.mark.parametrize("seed", range(60))
def test_the_last_request_that_wrote_an_item_is_found(tmp_path: Path, seed: int) -> None:
    """A model knows, for every line, the last request that had it; random lines are not sent, and
    answers leave random lines unprocessed, which go out again."""
    dice, lines = random.Random(seed), file_of(random.Random(seed))
    path, start = tmp_path / "requests", dice.choice((0, 7_000))
    sent = [n for n in range(len(lines)) if seed % 3 or dice.random() < 0.8]
    expected: dict[bytes, str] = {}
    with RequestLog(path) as log:
        sorts = SortedLines(start, lines, sent)
        for opens, first, batch in sorts.batches(dice.randint(1, 6)):
            left = batch
            while left:
                done = (
                    left if dice.random() < 0.6 else dice.sample(left, dice.randint(1, len(left)))
                )
                request = f"request{len(expected)}x{dice.random()}"
                written = [each.rstrip(b"\n") for each in left if each in done]
                stretches = sorts.stretches(first, batch, written, opens=opens)
                log.add(Kind.BATCH, stretches, request, opens=opens)
                expected |= dict.fromkeys(written, request)
                left = [each for each in left if each not in done]
    place = start
    for each in lines:
        found = request_for(path, place, opens=b"METADATA" in each)
        assert (found.request_id if found else None) == expected.get(each.rstrip(b"\n"))
        place += len(each)


def test_what_is_known_of_a_request(tmp_path: Path) -> None:
    path = tmp_path / "requests"
    with RequestLog(path) as log:
        log.add(Kind.BATCH, [(0, 100)], "A1", opens=True)
        log.add(Kind.TRANSACTION, [(40, 60)], "", opens=False)
    found = request_for(path, 50, opens=False)
    assert found is not None
    assert (found.kind, found.request_id) == (Kind.TRANSACTION, "")
    assert found.at.endswith("Z")
    assert request_for(path, 99, opens=True) == LoggedRequest(Kind.BATCH, found.at, "A1")
    assert request_for(path, 100, opens=True) is None
    assert (path.stat().st_mode & 0o777) == 0o600


def test_a_torn_or_foreign_line_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "requests"
    with RequestLog(path) as log:
        log.add(Kind.BATCH, [(0, 10)], "A1", opens=True)
    with path.open("ab") as handle:
        handle.write(b"B 0 10 17\nB 0 10 1700000000000 A2 A3\n\x1b[31m\nZ 0 10 1 A4\nB 0 10 170000")
    found = request_for(path, 5, opens=True)
    assert found is not None and found.request_id == "A1"


def test_a_log_that_cannot_be_kept_is_in_nobody_s_way(tmp_path: Path) -> None:
    for path in (None, tmp_path / "missing" / "requests", Path("/dev/full")):
        with RequestLog(path) as log:
            log.add(Kind.BATCH, [(0, 10)], "A1", opens=True)
            log.flush()
    assert request_for(tmp_path / "missing" / "requests", 5, opens=True) is None


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
