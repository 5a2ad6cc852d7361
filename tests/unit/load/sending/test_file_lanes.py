"""The lanes of a file: every line once, and nothing acknowledged behind a gap."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from load.sending import file_lanes
from load.sending.file_lanes import FileLanes, Piece
from load.writing.batch_writer import Outcome
from utils.files import pieces

LINES = st.lists(st.binary(max_size=60).map(lambda text: text.replace(b"\n", b"")), max_size=60)


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_lanes, "PIECE_BYTES", 100)
    monkeypatch.setattr(pieces, "starts_record", lambda line: not line.startswith(b"~"))


def written(path: Path, lines: list[bytes]) -> bytes:
    content = b"".join(line + b"\n" for line in lines)
    path.write_bytes(content)
    return content


def test_no_record_is_cut_in_two(tmp_path: Path) -> None:
    records = [b"header\n" + b"~line\n" * (n % 40) for n in range(200)]
    (tmp_path / "file").write_bytes(b"".join(records))
    content = b"".join(records)
    pieces = list(FileLanes.cut(tmp_path / "file").pieces())
    assert len(pieces) > 20
    assert all(content[piece.start : piece.end].startswith(b"header") for piece in pieces)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=LINES)
def test_the_pieces_are_whole_lines_and_all_of_the_file(tmp_path: Path, lines: list[bytes]) -> None:
    content = written(tmp_path / "file", lines)
    pieces = list(FileLanes.cut(tmp_path / "file").pieces())
    parts = [content[piece.start : piece.end] for piece in sorted(pieces, key=lambda p: p.start)]
    assert b"".join(parts) == content
    assert all(part.endswith(b"\n") for part in parts)
    assert [piece.number for piece in pieces] == list(range(len(pieces)))


def test_one_piece_after_another_comes_from_far_away(tmp_path: Path) -> None:
    written(tmp_path / "file", [b"x" * 49] * 400)  # 20,000 bytes, 16 lanes
    pieces = list(FileLanes.cut(tmp_path / "file").pieces())
    distances = [abs(b.start - a.start) for a, b in pairwise(pieces)]
    assert len(pieces) > 150
    assert min(distances) > 1000


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=LINES, data=st.data())
def test_whatever_order_it_is_acknowledged_in_a_resume_sends_the_rest_and_no_more(
    tmp_path: Path, lines: list[bytes], data: st.DataObject
) -> None:
    content = written(tmp_path / "file", lines)
    first = FileLanes.cut(tmp_path / "file")
    pieces = list(first.pieces())
    done = data.draw(st.lists(st.sampled_from(pieces), unique=True) if pieces else st.just([]))
    counted = 0
    for piece in done:
        counted += first.acknowledge(
            piece.number, 0, piece.end - piece.start, outcome_of(content, piece)
        ).items
    rest = list(FileLanes(tmp_path / "file", first.ranges).pieces())
    assert counted + sum(lines_in(content, piece) for piece in rest) == len(lines)
    assert first.left == sum(piece.end - piece.start for piece in rest)
    resent = {place for piece in rest for place in range(piece.start, piece.end)}
    unsent = [piece for piece in pieces if piece not in done]
    assert resent >= {place for piece in unsent for place in range(piece.start, piece.end)}


def lines_in(content: bytes, piece: Piece) -> int:
    return content[piece.start : piece.end].count(b"\n")


def outcome_of(content: bytes, piece: Piece) -> Outcome:
    return Outcome(items=lines_in(content, piece))


def test_what_comes_after_a_lost_part_of_a_piece_does_not_count(tmp_path: Path) -> None:
    written(tmp_path / "file", [b"x" * 9] * 10)
    found = FileLanes.cut(tmp_path / "file")
    (piece,) = found.pieces()
    assert found.acknowledge(piece.number, 0, 30, Outcome(items=3)).items == 3
    assert found.acknowledge(piece.number, 50, 20, Outcome(items=2)).items == 0
    assert found.ranges == [(30, 100)]


def test_a_piece_that_is_done_before_its_forerunner_waits_for_it(tmp_path: Path) -> None:
    written(tmp_path / "file", [b"x" * 49] * 3)
    found = FileLanes(tmp_path / "file", [(0, 150)])
    first, second = found.pieces()
    assert found.acknowledge(second.number, 0, 50, Outcome(items=1)).items == 0
    assert found.ranges == [(0, 150)]
    assert found.acknowledge(first.number, 0, 100, Outcome(items=2)).items == 3
    assert found.ranges == []


def test_what_is_not_handed_out_is_known(tmp_path: Path) -> None:
    written(tmp_path / "file", [b"x" * 49] * 6)
    found = FileLanes(tmp_path / "file", [(0, 150), (150, 300)])
    given = found.pieces()
    first, second = next(given), next(given)
    assert (first.start, second.start) == (0, 150)
    assert found.not_given == [(100, 150), (250, 300)]
    assert found.rest_of(second.number, 50) == (200, 250)
    list(given)
    assert found.not_given == []
