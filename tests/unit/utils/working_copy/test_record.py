"""What a working copy knows of itself, and what it is not taken for."""

from __future__ import annotations

from pathlib import Path

import pytest

from utils.error_handler import ArtifactError, ConfigurationError
from utils.files.known_files import FileStamp
from utils.working_copy.index import Entry, Index
from utils.working_copy.record import RECORD, Record, require_no_working_copy

PLACE = "s3://bucket/data"


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    record = Record.open(tmp_path, PLACE)
    record.generation, record.whole = 7, True
    (tmp_path / "a").write_bytes(b"a")
    record.note("a", "0" * 64, FileStamp.of(tmp_path / "a"))
    record.save()
    assert Record.open(tmp_path, PLACE) == record


@pytest.mark.parametrize("text", [b"", b"{}", b'{"version": 1, "place": 3, "files": {}}', b"[]"])
def test_a_damaged_record_is_told(tmp_path: Path, text: bytes) -> None:
    (tmp_path / RECORD).write_bytes(text)
    with pytest.raises(ConfigurationError, match="damaged"):
        Record.open(tmp_path, PLACE)


def test_other_directories_are_refused_by_name(tmp_path: Path) -> None:
    Record.open(tmp_path, PLACE).save()
    with pytest.raises(ConfigurationError, match="s3://bucket/data, not of s3://bucket/other"):
        Record.open(tmp_path, "s3://bucket/other")
    with pytest.raises(ConfigurationError, match="working copy of s3://bucket/data"):
        require_no_working_copy(tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    (other / "manifest.json").write_bytes(b"{}")
    with pytest.raises(ConfigurationError, match=r"holds other files \(manifest.json\)"):
        Record.open(other, PLACE)


@pytest.mark.parametrize("name", ["../etc/passwd", "/etc/passwd", "a//b", "a/./b", ""])
def test_an_index_names_nothing_outside(name: str) -> None:
    index = Index(1, "me", "here", "now", {name: Entry.of(b"x")})
    with pytest.raises(ArtifactError, match="damaged"):
        Index.read(index.text(), "s3://bucket/data/index.json")


def test_an_index_is_read_as_it_was_written() -> None:
    index = Index(
        3, "me", "here", "now", {"a/b": Entry.of(b"x"), "c": Entry(1, "s", "k", life="1")}
    )
    assert Index.read(index.text(), "there") == index
    assert index.files["a/b"].bytes == b"x"
