"""Artifacts: complete under their final name, exactly what the manifest says, resumable."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from utils.error_handler import ArtifactError
from utils.files.artifacts import (
    ArtifactWriter,
    check_artifact,
    sha256_of,
    starts_record,
)
from utils.files.storage import PARTIAL_SUFFIX


def header(number: int) -> bytes:
    return b'{"Item":{"PK":{"S":"SALE#%d"},"SK":{"S":"METADATA"}}}\n' % number


def line(number: int, position: int) -> bytes:
    return b'{"Item":{"PK":{"S":"SALE#%d"},"SK":{"S":"LINE#%d"}}}\n' % (number, position)


def test_a_file_has_its_final_name_only_when_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "sales.json"
    with ArtifactWriter(path) as writer:
        writer.write(b"{}\n", records=1, items=1)
        writer.sync()
        assert not path.exists()
        entry = writer.commit()
    assert path.read_bytes() == b"{}\n"
    assert entry.sha256 == sha256_of(path)
    assert (entry.records, entry.items, entry.bytes) == (1, 1, 3)


def test_an_interrupted_writer_leaves_a_partial_file_and_no_final_one(tmp_path: Path) -> None:
    path = tmp_path / "sales.json"
    with pytest.raises(RuntimeError), ArtifactWriter(path) as writer:
        writer.write(b"{}\n", records=1, items=1)
        raise RuntimeError
    assert not path.exists()
    assert (tmp_path / f"sales.json{PARTIAL_SUFFIX}").exists()


@pytest.mark.parametrize("durable", [True, False])
def test_the_disk_is_waited_for_only_where_it_has_to_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, durable: bool
) -> None:
    path, synced = tmp_path / "sales.json", list[bool]()
    monkeypatch.setattr(
        os, "fsync", lambda file: synced.append(stat.S_ISREG(os.fstat(file).st_mode))
    )
    with ArtifactWriter(path) as writer:
        writer.write(b"{}\n", records=1, items=1)
        entry = writer.commit(durable=durable)
    assert any(synced) == durable
    assert sha256_of(path) == entry.sha256


def test_a_part_of_another_file_is_copied_and_hashed(tmp_path: Path) -> None:
    data = os.urandom(3 << 20)
    (tmp_path / "other").write_bytes(data)
    with ArtifactWriter(tmp_path / "copy") as writer, (tmp_path / "other").open("rb") as other:
        other.seek(7)
        writer.copy(other, len(data) - 20, pause=lambda: None)
        writer.write(b"end\n", records=1, items=1)
        entry = writer.commit()
    assert (tmp_path / "copy").read_bytes() == data[7:-13] + b"end\n"
    assert entry.sha256 == sha256_of(tmp_path / "copy")
    assert entry.bytes == len(data) - 20 + 4


def test_a_file_that_is_cut_while_it_is_copied_is_no_endless_one(tmp_path: Path) -> None:
    (tmp_path / "other").write_bytes(b"short")
    with (
        ArtifactWriter(tmp_path / "copy") as writer,
        (tmp_path / "other").open("rb") as other,
        pytest.raises(ArtifactError, match="shorter"),
    ):
        writer.copy(other, 6, pause=lambda: None)


def test_only_the_owner_can_read_it_whatever_the_umask(tmp_path: Path) -> None:
    path = tmp_path / "sales.json"
    with ArtifactWriter(path) as writer:
        writer.commit()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_resumed_writer_goes_on_where_the_checkpoint_was(tmp_path: Path) -> None:
    path = tmp_path / "sales.json"
    with ArtifactWriter(path) as writer:
        writer.write(b"1\n", records=1, items=2)
        place = writer.sync()
        writer.write(b"lost with the power\n", records=5, items=5)
    with ArtifactWriter(path, place) as writer:
        writer.write(b"2\n", records=1, items=1)
        entry = writer.commit()
    assert path.read_bytes() == b"1\n2\n"
    assert (entry.records, entry.items, entry.sha256) == (2, 3, sha256_of(path))


def test_a_partial_file_that_was_edited_is_not_gone_on_with(tmp_path: Path) -> None:
    path = tmp_path / "sales.json"
    with ArtifactWriter(path) as writer:
        writer.write(b"1\n", records=1, items=1)
        place = writer.sync()
    (tmp_path / f"sales.json{PARTIAL_SUFFIX}").write_bytes(b"7\n")
    with pytest.raises(ArtifactError, match="cut or edited"):
        ArtifactWriter(path, place)


@pytest.mark.parametrize("change", [b"", b"{}", b"{}\n{}\n", b"[]\n"])
def test_a_file_that_is_not_what_the_manifest_says_is_refused(
    tmp_path: Path, change: bytes
) -> None:
    path = tmp_path / "sales.json"
    with ArtifactWriter(path) as writer:
        writer.write(b"{}\n", records=1, items=1)
        entry = writer.commit()
    assert check_artifact(path, entry, phase="transform") == entry
    path.write_bytes(change)
    with pytest.raises(ArtifactError) as caught:
        check_artifact(path, entry, phase="transform")
    assert "--phase transform --entity sales" in caught.value.remedy


def test_a_record_starts_with_metadata_and_not_with_a_line_or_a_text_that_says_so() -> None:
    assert starts_record(header(1))
    assert not starts_record(line(1, 1))
    assert not starts_record(
        b'{"Item":{"PK":{"S":"SALE#1"},"SK":{"S":"LINE#1"},'
        rb'"notes":{"S":"\"SK\":{\"S\":\"METADATA\"}"}}}'
    )
