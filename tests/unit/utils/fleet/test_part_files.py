"""Files of parts: whoever writes one, nobody else's is touched, and together they are the whole."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from utils.error_handler import ArtifactError
from utils.files.artifacts import ArtifactWriter
from utils.fleet.part_files import (
    WrittenPart,
    file_of,
    is_there,
    put_together,
    remove_parts,
    writing,
)
from utils.interrupt import StopFlag


def written(path: Path, number: int, data: bytes) -> WrittenPart:
    with writing(path, number) as part:
        part.output.write(data, records=1, items=2)
    return part.written


def test_a_twin_that_read_something_else_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "sales.json"
    parts = [written(path, 0, b"one\n"), written(path, 1, b"two\n")]
    written(path, 1, b"of another snapshot\n")
    with ArtifactWriter(path) as output:
        put_together(output, path, parts, StopFlag())
        entry = output.commit()
    assert path.read_bytes() == b"one\ntwo\n"
    assert (entry.records, entry.items) == (2, 4)
    remove_parts(path)
    assert list(tmp_path.iterdir()) == [path]
    assert not is_there(path, parts[0])


def test_what_is_given_up_leaves_no_half_file(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), writing(tmp_path / "sales.json", 3) as part:
        part.output.write(b"half", records=1, items=1)
        raise RuntimeError
    assert not list((tmp_path / "sales").iterdir())


def test_a_part_that_was_edited_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "sales.json"
    part = written(path, 0, b"one\n")
    assert WrittenPart.of_json(part.as_json()) == part
    file_of(path, part).write_bytes(b"two\n")
    assert is_there(path, part)
    with ArtifactWriter(path) as output, pytest.raises(ArtifactError, match="part-00000"):
        put_together(output, path, [part], StopFlag())


def test_somebody_who_writes_there_still_is_outlived(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "sales.json"
    written(path, 0, b"one\n")
    rmdir, late = os.rmdir, [b"late\n"]

    def meanwhile(directory: str, **given: object) -> None:
        if late:
            (tmp_path / "sales" / "part-00001-0123456789ab.json").write_bytes(late.pop())
        rmdir(directory, **given)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "rmdir", meanwhile)
    monkeypatch.setattr("utils.fleet.part_files._REST", 0.0)
    remove_parts(path)
    assert not (tmp_path / "sales").exists()
