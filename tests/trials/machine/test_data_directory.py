"""Nothing is deleted that the tool has not made and marked, and no link is followed (trial C3)."""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from load.conflicts.replaced_items import ReplacedItems
from tests.conftest import S9Database
from tests.support.operators.operator import Operator, small_trade
from utils.error_handler import MigrationError, StorageError
from utils.files.line_marks import LineMarks
from utils.files.storage import open_private, write_atomically
from utils.files.workspace import Workspace
from utils.run.clean import remove_of_backup
from utils.run.lock import run_lock
from utils.run.own_directories import DEMONSTRATION, REHEARSAL, require_ours, require_unmarked, take


def tree(root: Path) -> dict[str, bytes]:
    """Every file below a directory, through no link, with its content."""
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and not path.is_symlink()
    }


def made(root: Path, kind: str) -> Workspace:
    """A directory that the tool has made for itself, with files of all kinds in it."""
    files = Workspace(root)
    require_ours(files, kind)
    files.prepare()
    take(files, kind)
    return files


def test_a_rehearsal_empties_no_directory_that_is_linked_to(
    alone: Operator, s9: S9Database, tmp_path: Path
) -> None:
    small_trade(s9)
    mine = tmp_path / "mine"
    (mine / "extracted").mkdir(parents=True)
    (mine / "extracted" / "sales.json").write_text("mine")
    alone.data.mkdir()
    (alone.data / "dry-run").symlink_to(mine)
    before = tree(mine)
    alone.run("--dry-run").failed(1, "a symbolic link", "move it away")
    assert tree(mine) == before
    assert stat.S_IMODE(mine.stat().st_mode) != 0o700
    (alone.data / "dry-run").unlink()
    alone.run("--dry-run").ended(0)
    alone.run("--dry-run").ended(0)


def test_a_rehearsal_leaves_what_it_has_not_made(after_a_run: Operator) -> None:
    shutil.copytree(after_a_run.data, after_a_run.data / "dry-run")
    before = tree(after_a_run.data)
    after_a_run.run("--dry-run").failed(2, "does not belong to a rehearsal", "move it away")
    assert tree(after_a_run.data) == before


def test_no_demonstration_empties_a_migration_to_this_machine(after_a_run: Operator) -> None:
    assert after_a_run.manifest()["target"]["endpoint"].startswith("http://127.0.0.1:")
    before = tree(after_a_run.data)
    after_a_run.run("demo", "--directory", "data").failed(2, "does not belong to a demonstration")
    assert tree(after_a_run.data) == before


def test_a_migration_does_not_settle_where_the_next_rehearsal_would_delete_it(
    alone: Operator, s9: S9Database
) -> None:
    small_trade(s9)
    alone.run("--dry-run").ended(0)
    settled = alone.rehearsal
    settled.run("--full").failed(2, "a rehearsal", "data.directory")
    alone.run("--dry-run").ended(0)


def test_what_is_deleted_is_known_by_its_name_and_reached_through_no_link(tmp_path: Path) -> None:
    files = made(tmp_path / "rehearsed", REHEARSAL)
    mine = tmp_path / "mine"
    for name in ("pictures/Sales-20260101-000000/keys.bin", "Sales-20260101-000000/backup.json"):
        (mine / name).parent.mkdir(parents=True, exist_ok=True)
        (mine / name).write_text("mine")
    before = tree(mine)
    for name in ("extracted/sales.json", "reports/load_report.json", "manifest.json", "notes.txt"):
        (files.root / name).write_text("{}")
    files.undo.symlink_to(mine)
    (files.root / "backups").symlink_to(mine)
    (files.root / "extracted" / "mine.ods").write_text("mine")
    (files.root / "quarantine" / "sales.json").symlink_to(mine / "Sales-20260101-000000")

    require_ours(files, REHEARSAL)
    with pytest.raises(StorageError, match="symbolic link"):
        take(files, REHEARSAL)

    assert tree(mine) == before
    assert set(tree(files.root)) == {".made-for", "extracted/mine.ods", "notes.txt"}


def test_a_copy_of_a_marked_directory_is_not_marked(tmp_path: Path) -> None:
    files = made(tmp_path / "shown", DEMONSTRATION)
    (files.root / "manifest.json").write_text("{}")
    require_ours(files, DEMONSTRATION)
    shutil.copytree(files.root, tmp_path / "copy")
    with pytest.raises(MigrationError, match="does not belong to a demonstration"):
        require_ours(Workspace(tmp_path / "copy"), DEMONSTRATION)
    with pytest.raises(MigrationError, match="does not belong to a rehearsal"):
        require_ours(files, REHEARSAL)
    with pytest.raises(MigrationError, match="the directory of a demonstration"):
        require_unmarked(files)


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b'{"id": "x", "for": "a rehearsal"}'])
def test_a_mark_that_somebody_has_made_marks_nothing(tmp_path: Path, content: bytes) -> None:
    files = Workspace(tmp_path)
    files.mark.write_bytes(content)
    (tmp_path / "mine").touch()
    with pytest.raises(MigrationError, match="does not belong to a rehearsal"):
        require_ours(files, REHEARSAL)
    require_unmarked(files)


LINKED_FILES = ["manifest.json", ".checkpoint.json", ".lock", ".mask-key"]
LINKED_DIRECTORIES = ["extracted", "transformed", "quarantine", "reports", "undo", "backups"]


@pytest.mark.parametrize("name", [*LINKED_FILES, *LINKED_DIRECTORIES, ".scratch"])
@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_a_link_in_the_data_directory_is_refused(tmp_path: Path, name: str, kind: str) -> None:
    mine, root = tmp_path / "mine", tmp_path / "data"
    root.mkdir()
    if kind == "pipe":
        os.mkfifo(root / name)
    else:
        (root / name).symlink_to(mine)
        mine.mkdir() if "." not in name else mine.write_text("mine")
    with pytest.raises(StorageError, match=r"symbolic link|something special") as caught:
        Workspace(root).prepare()
    assert "data.directory" in caught.value.remedy


def test_the_data_directory_itself_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "large-disk").mkdir()
    (tmp_path / "data").symlink_to(tmp_path / "large-disk")
    Workspace(tmp_path / "data").prepare()
    assert (tmp_path / "large-disk" / "extracted").is_dir()


def planted(path: Path) -> Iterator[Path]:
    """A file of somebody's with a link to it at `path`; checks that it stays as it is."""
    mine = path.with_name("mine")
    mine.write_text("mine")
    mine.chmod(0o644)
    path.symlink_to(mine)
    yield mine
    assert mine.read_text() == "mine"
    assert stat.S_IMODE(mine.stat().st_mode) == 0o644


@pytest.mark.parametrize("mode", ["wb", "ab", "r+b"])
def test_no_file_is_opened_for_writing_through_a_link(tmp_path: Path, mode: str) -> None:
    for _ in planted(tmp_path / "load_report.json.partial"):
        with pytest.raises(StorageError, match="symbolic link"):
            open_private(tmp_path / "load_report.json.partial", mode)


def test_neither_temporary_files_nor_locks_nor_databases_are(tmp_path: Path) -> None:
    for _ in planted(tmp_path / "manifest.json.tmp"):
        with pytest.raises(StorageError, match="symbolic link"):
            write_atomically(tmp_path / "manifest.json", b"{}")
    for _ in planted(tmp_path / ".lock"):
        with pytest.raises(StorageError, match="symbolic link"), run_lock(tmp_path / ".lock"):
            pass
    for _ in planted(tmp_path / "sales.before"):
        with pytest.raises(StorageError, match="symbolic link"):
            ReplacedItems(tmp_path / "sales.before")
    for _ in planted(tmp_path / "buyers.before-journal"):
        with pytest.raises(StorageError, match="symbolic link"):
            ReplacedItems(tmp_path / "buyers.before")
    for _ in planted(tmp_path / "sales.plan"):
        with pytest.raises(StorageError, match="symbolic link"):
            LineMarks(tmp_path / "sales.plan")


def test_a_pipe_in_the_place_of_a_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "manifest.json.tmp")
    with pytest.raises(StorageError, match="something special"):
        write_atomically(tmp_path / "manifest.json", b"{}")


def test_of_a_backup_cut_short_only_what_the_tool_has_written_goes(tmp_path: Path) -> None:
    for name in ("progress.json", "items-00-0000.json.gz", "keys-00-0000", "my notes"):
        (tmp_path / name).touch()
    (tmp_path / "sorting").mkdir()
    (tmp_path / "sorting" / "007").touch()
    remove_of_backup(tmp_path, {"items-00-0000.json.gz"})
    assert {path.name for path in tmp_path.iterdir()} == {"items-00-0000.json.gz", "my notes"}


@pytest.mark.parametrize("answer", [errno.EINVAL, errno.ENOTSUP, errno.ENOSYS])
def test_a_file_system_that_does_not_sync_directories_is_put_up_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: int
) -> None:
    honest = os.fsync

    def fsync(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(answer, os.strerror(answer))
        honest(descriptor)

    monkeypatch.setattr("os.fsync", fsync)
    write_atomically(tmp_path / "manifest.json", b"{}")
    assert (tmp_path / "manifest.json").read_bytes() == b"{}"


@pytest.mark.parametrize("name", ["quarantine/sales.json", "extracted/sales.json"])
def test_a_file_that_was_cut_is_told_by_what_tries_its_records_again(
    after_a_run: Operator, name: str
) -> None:
    path = after_a_run.data / name
    path.write_bytes(path.read_bytes()[:-100])
    after_a_run.run("retry-quarantine").failed(1, name, "the manifest says")
