"""`clean`: what goes, what stays, and what it never touches."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from tests.conftest import S9Database
from tests.support.operators.operator import TIMEOUT, Operator, small_trade
from tests.support.s9.many_sales import many_sales
from utils.error_handler import ConfigurationError
from utils.files.workspace import Workspace
from utils.run.clean import require_ended
from utils.run.manifest import Manifest


def tree(root: Path) -> set[str]:
    """Every file and link below a directory, by its relative path."""
    return {
        path.relative_to(root).as_posix()
        for path in root.rglob("*")
        if path.is_symlink() or not path.is_dir()
    }


@pytest.fixture
def done(after_a_run: Operator) -> Operator:
    """An operator whose migration is complete but for records in quarantine, after a rehearsal and
    an earlier run, which has left a backup."""
    data = after_a_run.data
    own, *_ = sorted((data / "backups").iterdir())
    copied = shutil.copytree(data, after_a_run.directory / "copy")
    copied.rename(data / "dry-run")
    shutil.copytree(own, own.with_name(own.name.rpartition("-")[0] + "-000000"))
    for rotated in ("migration.log.1", "migration_errors.log.12"):
        (data / "reports" / rotated).touch()
    return after_a_run


def test_everything_goes_but_what_later_runs_need(done: Operator) -> None:
    before = done.manifest()
    outcome = done.run("clean", "--yes").ended(0)
    for word in ("extracted records: 4 files", "quarantine records", "backups", "reports and logs"):
        assert word in outcome.stdout.partition("Left:")[0]
    assert "the last rehearsal" in outcome.stdout
    earlier = {name for name in tree(done.data) if name.startswith("backups/")}
    assert tree(done.data) - earlier == {"manifest.json", ".lock"}
    assert str(Path("data") / "manifest.json") in outcome.stdout.partition("Left:")[2]
    after = done.manifest()
    assert before["reached"].keys() == {"source", "target"}
    for kept in ("run_id", "migration_timestamp", "source", "target", "reached", "empty_as_of"):
        assert after[kept] == before[kept]
    assert not any(after[gone] for gone in ("phases", "artifacts", "backups", "snapshot"))


def test_only_the_backups_of_the_last_run_go_unless_all_are_asked_for(done: Operator) -> None:
    taken = set(tree(done.data / "backups"))
    own = {entry["name"] for each in done.manifest()["backups"].values() for entry in each}
    assert own
    done.run("clean", "--yes").ended(0)
    left = tree(done.data / "backups")
    assert left == {name for name in taken if name.partition("/")[0] not in own}
    assert left, "the first run's backups are not of the last run"
    done.run("clean", "--yes", "--all-backups").ended(0)
    assert not (done.data / "backups").exists()


def test_cleaned_again_there_is_nothing_to_do(done: Operator) -> None:
    done.run("clean", "--yes", "--all-backups").ended(0)
    before = {name: (done.data / name).read_bytes() for name in tree(done.data)}
    before.pop(".lock")
    outcome = done.run("clean", "--yes").ended(0)
    assert outcome.stdout == "There is nothing to clean in data.\n"
    assert {name: (done.data / name).read_bytes() for name in before} == before


def test_reports_can_be_kept(done: Operator) -> None:
    reports = tree(done.data / "reports")
    done.run("clean", "--yes", "--keep-reports").ended(0)
    assert tree(done.data / "reports") == reports
    assert not (done.data / "extracted").exists()


def test_a_later_run_writes_the_same_items(done: Operator) -> None:
    items = done.transformed()
    done.config["transformation"].pop("migrationTimestamp")
    done.run("clean", "--yes").ended(0)
    done.run("--phase", "extract").ended(0)
    done.run("--phase", "transform").ended(5)
    done.run("--phase", "validate").ended(5)
    assert done.transformed() == items


def test_it_asks_and_takes_no_for_an_answer(done: Operator) -> None:
    before = tree(done.data)
    done.run("clean").failed(2, "there was no answer", "--yes")
    answer = subprocess.run(
        done.command("clean"),
        input="n\n",
        cwd=done.directory,
        env=done.environment,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert answer.returncode == 0
    assert "Nothing was deleted" in answer.stdout
    assert tree(done.data) == before


def test_an_unfinished_run_is_kept_unless_that_is_said(alone: Operator, s9: S9Database) -> None:
    many_sales(s9, 50)
    alone.run("--phase", "extract").ended(0)
    before = tree(alone.data)
    alone.run("clean", "--yes").failed(2, "not finished", "--resume", "--unfinished")
    assert tree(alone.data) == before
    alone.run("clean", "--yes", "--unfinished").ended(0)
    assert tree(alone.data) == {"manifest.json", ".lock"}
    assert "nothing to clean" in alone.run("clean", "--yes").ended(0).stdout


def test_a_rollback_that_was_cut_short_is_told_by_the_run_that_it_undoes(tmp_path: Path) -> None:
    """It may be an earlier one than that of the manifest, which may not even have begun."""
    files = Workspace(tmp_path)
    manifest = replace(Manifest.new(), rolled_back="begun", undone_run="0ld5")
    manifest.save(files.manifest)
    with pytest.raises(ConfigurationError, match=r"run 0ld5 .* is being undone"):
        require_ended(files)


@pytest.mark.parametrize("place", [".lock", "dry-run/.lock"])
def test_nothing_is_deleted_under_a_run_at_work(done: Operator, place: str) -> None:
    before = tree(done.data)
    with (done.data / place).open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done.run("clean", "--yes").failed(1, "another run is at work")
    assert tree(done.data) == before


def test_it_follows_no_link_and_leaves_what_the_tool_has_not_written(
    done: Operator, tmp_path: Path
) -> None:
    mine = tmp_path / "mine"
    (mine / "sub").mkdir(parents=True)
    for name in ("sales.json", "load_report.json", "backup.json", "sub/manifest.json"):
        (mine / name).write_text("mine")
    outside = tree(mine)
    strange = {
        "extracted/notes.txt": None,
        "reports/accepted.pdf": None,
        "backups/mine.tar": None,
        "extracted/buyers.json": mine / "sales.json",
        ".scratch/links": mine,
        "demo": mine / "sub",
        "backups/Sales-20260101-000000": mine,
    }
    for name, target in strange.items():
        path = done.data / name
        path.parent.mkdir(exist_ok=True)
        path.unlink(missing_ok=True)
        if target:
            path.symlink_to(target)
        else:
            path.write_text("mine")
    (done.data / "reports").rename(mine / "reports")
    (done.data / "reports").symlink_to(mine / "reports")
    linked = tree(mine)

    outcome = done.run("clean", "--yes", "--all-backups").ended(0)

    assert tree(mine) == linked > outside
    left = set(strange) - {"reports/accepted.pdf"}
    assert tree(done.data) == {*left, "reports", "manifest.json", ".lock"}
    assert "a symbolic link" in outcome.stdout


def test_a_directory_that_is_no_data_directory_is_left_alone(
    alone: Operator, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    (other / "extracted").mkdir(parents=True)
    (other / "extracted" / "sales.json").write_text("{}")
    outcome = alone.run("clean", "--yes", "--directory", str(other)).ended(0)
    assert "nothing to clean" in outcome.stdout
    assert tree(other) == {"extracted/sales.json"}
    assert not alone.data.exists()
    assert "nothing to clean" in alone.run("clean", "--yes").ended(0).stdout
    assert not alone.data.exists()


def test_a_rehearsal_or_a_demonstration_alone_is_cleaned(alone: Operator, s9: S9Database) -> None:
    small_trade(s9)
    alone.run("--dry-run").ended(0)
    (alone.data / "dry-run").rename(alone.directory / "demo")
    (alone.directory / "demo").rename(alone.data / "demo")
    alone.run("clean", "--yes", "--directory", "data/demo").ended(0)
    assert tree(alone.data / "demo") == {"manifest.json", ".lock"}
    alone.run("clean", "--yes").ended(0)
    assert not (alone.data / "demo").exists()


def test_a_backup_cut_short_goes_with_the_others(done: Operator) -> None:
    (entry, *_), *_ = done.manifest()["backups"].values()
    whole = done.data / "backups" / entry["name"]
    partial = whole.with_name(whole.name + ".partial")
    whole.rename(partial)
    (partial / "sorting").mkdir()
    for name in ("progress.json", "keys-00-0000", "items-00-0001.json.gz.partial", "sorting/007"):
        (partial / name).write_text("{}")
    done.run("clean", "--yes").ended(0)
    assert not partial.exists()


def test_a_demonstration_empties_no_directory_of_somebody_elses(after_a_run: Operator) -> None:
    after_a_run.run("demo", "--directory", ".").failed(
        2, "does not belong to a demonstration", "--directory"
    )
    manifest = after_a_run.data / "manifest.json"
    manifest.write_bytes(manifest.read_bytes().replace(b"http://127.0.0.1:", b"http://elsewhere:"))
    before = tree(after_a_run.data)
    after_a_run.run("demo", "--directory", "data").failed(2, "does not belong to a demonstration")
    assert tree(after_a_run.data) == before
