"""Files of parts: whoever writes one, nobody else's is touched, and together they are the whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from utils.error_handler import ArtifactError
from utils.files.artifacts import ArtifactWriter
from utils.files.parts import Part, file_of, tidy, write_list
from utils.fleet.part_files import is_there, put_together, writing
from utils.interrupt import StopFlag


def written(path: Path, number: int, data: bytes, *keys: int) -> Part:
    with writing(path, number) as part:
        part.output.write(data, records=1, items=2)
        part.spans(*keys)
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
    tidy(path)
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
    file_of(path, part).write_bytes(b"two\n")
    assert is_there(path, part)
    with ArtifactWriter(path) as output, pytest.raises(ArtifactError, match="part-00000"):
        put_together(output, path, [part], StopFlag())


def test_a_part_says_which_keys_it_has(tmp_path: Path) -> None:
    path = tmp_path / "sales.json"
    part = written(path, 0, b"one\n", 3, 5, 9)
    assert (part.first, part.last) == ("3", "9")
    assert [key for key in range(12) if part.may_have(key)] == [3, 4, 5, 6, 7, 8, 9]
    assert written(path, 1, b"one\n").may_have(-4)
    write_list(path, [part])
    tidy(path)
    assert [*(tmp_path / "sales").iterdir()] == [file_of(path, part)]
