"""`evidence`: packed after whatever came of a run, checked again by whoever has the archive."""

from __future__ import annotations

import fcntl
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pyrage
import pytest

from tests.support.operators.operator import Operator


def archive_in(directory: Path) -> Path:
    (found,) = (directory / "evidence").iterdir()
    return found


def test_the_evidence_of_a_run_checks_until_something_is_altered(after_a_run: Operator) -> None:
    before = {path: path.read_bytes() for path in after_a_run.data.rglob("*") if path.is_file()}
    packed = after_a_run.run("evidence").ended(0)
    assert packed.closing == "evidence-packed"
    archive = archive_in(after_a_run.data)
    after_a_run.run("evidence").ended(0)
    assert archive_in(after_a_run.data) == archive  # the same bytes, so the same file
    now = {path: path.read_bytes() for path in after_a_run.data.rglob("*") if path.is_file()}
    del now[archive]
    assert {path.name for path in now.keys() - before.keys()} <= {".lock"}
    assert {path for path in before if before[path] != now[path]} <= {after_a_run.data / ".lock"}

    whole = after_a_run.run("evidence", "--check", str(archive)).ended(0)
    assert whole.closing == "evidence-checks"
    for words in ("Verified: sales", "exit code 5", "here with the same SHA-256", "Reached as the"):
        assert words in whole.stdout
    assert packed.stdout.partition("SHA-256 is ")[2][:64] in whole.last_line

    (after_a_run.data / "transformed" / "sales.json").write_bytes(b"")
    changed = after_a_run.run("evidence", "--check", str(archive)).ended(4)
    assert changed.closing == "evidence-differs"
    assert "1 changed since" in changed.stdout
    shutil.rmtree(after_a_run.data / "transformed")
    gone = after_a_run.run("evidence", "--check", str(archive)).ended(0)
    assert "3 not here any more" in gone.stdout


def test_who_has_only_the_archive_checks_it(after_a_run: Operator, tmp_path: Path) -> None:
    after_a_run.run("evidence", "--output", str(tmp_path / "kept.tar.gz")).ended(0)
    shutil.rmtree(after_a_run.data)
    (after_a_run.directory / "config.json").unlink()
    whole = after_a_run.run("evidence", "--check", "kept.tar.gz", configured=False).ended(0)
    assert "not compared" in whole.stdout
    noted = after_a_run.run(
        "evidence", "--check", "kept.tar.gz", "--sha256", "0" * 64, configured=False
    )
    assert "SHA-256 was noted" in noted.ended(4).stdout
    (tmp_path / "kept.tar.gz").write_bytes(b"PK\3\4")
    other = after_a_run.run("evidence", "--check", "kept.tar.gz", configured=False)
    other.failed(2, "as an archive of evidence does")


def test_an_encrypted_archive_is_checked_with_the_key(after_a_run: Operator) -> None:
    key = pyrage.x25519.Identity.generate()
    (after_a_run.directory / "key").write_text(str(key))
    after_a_run.configure(data={"recipient": str(key.to_public())}).run("evidence").ended(0)
    archive = archive_in(after_a_run.data)
    assert archive.name.endswith(".tar.gz.age")
    after_a_run.run("evidence", "--check", str(archive)).failed(2, "is encrypted")
    after_a_run.run("evidence", "--check", str(archive), "--identity", "key").ended(0)


def test_nothing_is_packed_where_no_run_has_been(operator: Operator) -> None:
    operator.run("evidence").failed(2, "nothing to pack")
    assert not operator.data.exists()


def test_a_failed_run_has_its_evidence_too(operator: Operator) -> None:
    operator.configure(source={"port": 9}, migration={"maxRetries": 0}).run("--full").ended(1)
    packed = operator.run("evidence").ended(0)
    assert packed.closing == "evidence-packed"
    found = operator.run("evidence", "--check", str(archive_in(operator.data))).ended(0)
    assert "Nothing was verified" in found.stdout


def test_a_run_at_work_is_not_packed(after_a_run: Operator) -> None:
    with (after_a_run.data / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        after_a_run.run("evidence").failed(1, "another run is at work")
    assert not (after_a_run.data / "evidence").exists()


@pytest.mark.parametrize("options", [["--sha256", "0"], ["--check", "x", "--output", "y"]])
def test_options_that_do_not_go_together_are_refused(
    after_a_run: Operator, options: list[str]
) -> None:
    assert "Usage:" in after_a_run.run("evidence", *options).ended(2).stderr


def test_killed_while_it_packs_it_leaves_no_half_archive(
    after_a_run: Operator,
) -> None:
    log = after_a_run.data / "reports" / "migration.log"
    with log.open("ab") as handle:
        for number in range(400_000):
            handle.write(b"2026-01-30 Verify: %d %d\n" % (number, number * number))
    after_a_run.write_config()
    for seconds in (0.0, 0.15):
        with subprocess.Popen(
            after_a_run.command("evidence"),
            cwd=after_a_run.directory,
            env=after_a_run.environment,
            stdout=subprocess.DEVNULL,
        ) as packing:
            while packing.poll() is None and not any(after_a_run.data.glob(".scratch/*/*")):
                time.sleep(0.01)
            time.sleep(seconds)
            packing.send_signal(signal.SIGKILL)
        for found in after_a_run.data.glob("evidence/*.tar.gz"):
            after_a_run.run("evidence", "--check", str(found)).ended(0)
    after_a_run.run("evidence").ended(0)
    archive = archive_in(after_a_run.data)
    after_a_run.run("evidence", "--check", str(archive)).ended(0)
