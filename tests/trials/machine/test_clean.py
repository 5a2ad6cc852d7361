"""`clean` killed anywhere, and after a rollback (trial C27)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.operators.operator import Operator
from utils.files.workspace import Workspace
from utils.run.clean import Wish, delete, look
from utils.run.manifest import Manifest


class Killed(BaseException):
    """The process is gone."""


def files_in(root: Path) -> set[str]:
    return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}


def test_killed_anywhere_and_typed_again_everything_goes(
    after_a_run: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = Workspace(after_a_run.data)
    backups = files.root / "backups"
    doomed = look(files, backups, Wish())
    assert len(doomed.files["backups"]) > 5
    total = sum(map(len, doomed.files.values()))
    spared, unlink, save = [0], Path.unlink, Manifest.save

    def dying(path: Path, missing_ok: bool = False) -> None:
        if not spared[0]:
            raise Killed
        spared[0] -= 1
        unlink(path, missing_ok)

    def killed_before_it_forgets(_: Manifest, _path: Path) -> None:
        raise Killed

    monkeypatch.setattr(Path, "unlink", dying)
    for step in (1, 3, 5, total // 2):
        spared[0] = step
        with pytest.raises(Killed):
            delete(files, backups, look(files, backups, Wish()))
    spared[0] = total
    monkeypatch.setattr(Manifest, "save", killed_before_it_forgets)
    with pytest.raises(Killed):
        delete(files, backups, look(files, backups, Wish()))
    monkeypatch.setattr(Manifest, "save", save)

    after_a_run.run("clean", "--yes").ended(0)

    assert files_in(files.root) == {"manifest.json", ".lock"}
    kept = Manifest.load(files.manifest)
    assert kept is not None
    assert not kept.backups
    assert not kept.artifacts


def test_a_backup_that_could_not_be_deleted_is_not_forgotten(
    after_a_run: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = Workspace(after_a_run.data)
    name = next(iter(after_a_run.manifest()["backups"].values()))[0]["name"]
    (files.root / "backups" / name / "my notes").touch()
    after_a_run.run("clean", "--yes").ended(0)
    assert name in str(after_a_run.manifest()["backups"])


@pytest.mark.parametrize("outcome", [None, 1, 130])
def test_after_a_rollback_there_is_nothing_to_finish_first(
    after_a_run: Operator, outcome: int | None
) -> None:
    path = Workspace(after_a_run.data).manifest
    manifest = Manifest.load(path)
    assert manifest is not None
    replace(manifest, outcome=outcome, rolled_back="done").save(path)
    after_a_run.run("--resume").failed(2, "was undone", "--full")
    after_a_run.run("clean", "--yes").ended(0)
    assert files_in(after_a_run.data) == {"manifest.json", ".lock"}


def test_a_rollback_that_was_cut_short_is_finished_first(after_a_run: Operator) -> None:
    path = Workspace(after_a_run.data).manifest
    manifest = Manifest.load(path)
    assert manifest is not None
    replace(manifest, rolled_back="begun").save(path)
    after_a_run.run("clean", "--yes").failed(2, "cut short", "migrate.py rollback", "--unfinished")
