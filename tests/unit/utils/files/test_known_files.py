"""A file is not read again for its SHA-256 as long as nobody can have touched it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from utils.config import Config
from utils.error_handler import ArtifactError
from utils.files.artifacts import ArtifactWriter, sha256_of
from utils.files.known_files import FileStamp, KnownFiles
from utils.files.workspace import Workspace
from utils.run.manifest import Manifest
from utils.run.run import Run
from utils.telemetry.tasks import Tasks

_LARGE = b"x" * (2 << 20)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file that was written a while ago."""
    made = tmp_path / "sales.json"
    made.write_bytes(b"{}\n")
    moment = time.time() - 60.123456789
    os.utime(made, (moment, moment))
    return made


@pytest.fixture
def known(path: Path) -> KnownFiles:
    """It has been read."""
    files = KnownFiles()
    files.has_read(path, "digest", FileStamp.of(path))
    return files


def test_what_was_read_is_known_by_its_digest(path: Path, known: KnownFiles) -> None:
    assert known.knows(path, "digest")
    assert not known.knows(path, "another")


def test_what_was_not_read_is_not_known(path: Path, known: KnownFiles) -> None:
    assert not known.knows(path.parent, "digest")
    assert not KnownFiles().knows(path, "digest")


def test_another_name_for_a_file_leaves_it_known(path: Path, known: KnownFiles) -> None:
    with known.naming(path, "digest"):
        os.link(path, path.with_name("another"))
    assert known.knows(path, "digest")
    with known.naming(path, "digest"):
        path.with_name("another").unlink()
    assert known.knows(path, "digest")


def test_a_file_that_was_written_meanwhile_is_not_known(path: Path, known: KnownFiles) -> None:
    with known.naming(path, "digest"):
        path.write_bytes(b"[]\n")
    assert not known.knows(path, "digest")


def test_a_name_makes_nothing_known(path: Path, known: KnownFiles) -> None:
    path.write_bytes(b"[]\n")
    with known.naming(path, "digest"):
        os.link(path, path.with_name("another"))
    assert not known.knows(path, "digest")


def write_other_content(path: Path) -> None:
    path.write_bytes(b"[]\n")


def write_and_set_the_time_back(path: Path) -> None:
    before = path.stat()
    path.write_bytes(b"[]\n")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def put_another_in_its_place(path: Path) -> None:
    before, other = path.stat(), path.with_name("other")
    other.write_bytes(b"[]\n")
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(path)


def lengthen(path: Path) -> None:
    with path.open("ab") as handle:
        handle.write(b"{}\n")


@pytest.mark.parametrize(
    "touch",
    [write_other_content, write_and_set_the_time_back, put_another_in_its_place, lengthen],
)
def test_what_was_touched_is_not_known(
    path: Path, known: KnownFiles, touch: Callable[[Path], None]
) -> None:
    touch(path)
    assert not known.knows(path, "digest")


def test_what_changes_at_this_moment_is_not_known(tmp_path: Path) -> None:
    path, files = tmp_path / "sales.json", KnownFiles()
    path.write_bytes(b"{}\n")
    moment = time.time() + 60
    os.utime(path, (moment, moment))
    files.has_read(path, "digest", FileStamp.of(path))
    assert not files.knows(path, "digest")


def test_where_times_are_seconds_nothing_is_known(path: Path) -> None:
    files, moment = KnownFiles(), int(time.time()) - 60
    os.utime(path, (moment, moment))
    files.has_read(path, "digest", FileStamp.of(path))
    assert not files.knows(path, "digest")


def test_a_large_file_is_known_to_whoever_wrote_it(tmp_path: Path) -> None:
    path, files = tmp_path / "sales.json", KnownFiles()
    with ArtifactWriter(path) as writer:
        writer.write(_LARGE, records=1, items=1)
        entry = writer.commit()
        assert writer.last_look is not None
        files.has_written(path, entry.sha256, writer.last_look)
    assert files.knows(path, sha256_of(path))


def test_what_was_written_to_before_its_last_name_is_not_known(tmp_path: Path) -> None:
    path, files = tmp_path / "sales.json", KnownFiles()
    with ArtifactWriter(path) as writer:
        writer.write(_LARGE, records=1, items=1)
        entry = writer.commit()
        assert writer.last_look is not None
        time.sleep(0.03)
        lengthen(path)
        files.has_written(path, entry.sha256, writer.last_look)
    assert not files.knows(path, entry.sha256)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run that has written a transformed file."""
    files = Workspace(tmp_path)
    files.prepare()
    made = Run(Config(), files, Manifest.new(), Tasks())
    path = files.transformed("sales")
    with ArtifactWriter(path) as writer:
        writer.write(_LARGE, records=1, items=1)
        made.commit(path, writer)
    return made


def test_a_run_reads_what_is_to_be_read_anew(run: Run) -> None:
    path = run.workspace.transformed("sales")
    entry = run.artifact(path, written_by="transform")
    name = run.workspace.name_of(path)
    # Such a digest is believed of a file that is known, and found out by reading it.
    run.manifest.artifacts[name] = untrue = replace(entry, sha256="untrue")
    run.known_files.has_read(path, "untrue", FileStamp.of(path))
    assert run.artifact(path, written_by="transform") == untrue
    with pytest.raises(ArtifactError, match="SHA-256 differs"):
        run.artifact(path, written_by="transform", anew=True)


def test_a_run_refuses_what_was_changed_after_it_wrote_it(run: Run) -> None:
    path = run.workspace.transformed("sales")
    run.artifact(path, written_by="transform")
    with path.open("r+b") as handle:
        handle.write(b"y")
    with pytest.raises(ArtifactError, match="SHA-256 differs"):
        run.artifact(path, written_by="transform")


def test_what_one_run_knows_another_does_not(run: Run) -> None:
    again = Run(run.config, run.workspace, run.manifest, run.progress)
    path = run.workspace.transformed("sales")
    assert run.known_files.knows(path, sha256_of(path))
    assert not again.known_files.knows(path, sha256_of(path))
