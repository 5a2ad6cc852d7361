"""What a machine, a command line or a forged file may bring (trials C17 and C28)."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import zlib
from pathlib import Path

import orjson
import pytest

from load.backup.folder import BackupFolder, BackupPart, read_part
from tests.conftest import S9Database
from tests.support.operators.operator import Operator, small_trade
from tests.support.places import ROOT
from utils.config import is_table_name
from utils.error_handler import ArtifactError, ExitCode, MigrationError, of_the_machine
from utils.processes.pool import Workers
from utils.run.lock import run_lock
from utils.settings.config_file import load_config
from utils.settings.environment import take_out


@pytest.fixture
def trade(alone: Operator, s9: S9Database) -> Operator:
    small_trade(s9)
    return alone


@pytest.mark.parametrize("name", ["../x", "..", "...", "a/b", "", "a b", "x" * 256, "Sales\n"])
def test_what_is_no_name_of_a_table_is_none_of_a_file(tmp_path: Path, name: str) -> None:
    assert not is_table_name(name)
    (tmp_path / "config.json").write_bytes(orjson.dumps({"target": {"salesTable": name}}))
    with pytest.raises(MigrationError, match=r"target\.salesTable"):
        load_config(tmp_path / "config.json", {})


def test_only_names_of_tables_are_taken_for_them(alone: Operator) -> None:
    alone.run("backup", "--table", "../x").failed(2, "--table ../x", "list-tables")
    alone.run("restore", "Sales-20260101-000000", "--into", "../x").failed(2, "--into ../x")
    assert not alone.data.exists()


def test_a_name_of_a_backup_is_not_looked_for_elsewhere(alone: Operator) -> None:
    elsewhere = alone.directory / "Sales-20260101-000000"
    elsewhere.mkdir()
    alone.run("restore", "../../Sales-20260101-000000").failed(1, "no such backup")
    alone.run("restore", "x" * 300).failed(1, "too long")


@pytest.mark.parametrize("answer", [errno.ENOLCK, errno.ENOTSUP, errno.EINVAL])
def test_a_file_system_without_locks_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: int
) -> None:
    def flock(_descriptor: int, _operation: int) -> None:
        raise OSError(answer, os.strerror(answer))

    monkeypatch.setattr(fcntl, "flock", flock)
    with (
        pytest.raises(MigrationError, match="cannot be locked") as caught,
        run_lock(tmp_path / "l"),
    ):
        pass
    assert "NFS" in caught.value.remedy


def few(what: int, number: int) -> None:
    resource.setrlimit(what, (number, number))


def test_limits_that_are_too_low_are_told_before_anything_is_begun(trade: Operator) -> None:
    refused = trade.run("--full", preexec=lambda: few(resource.RLIMIT_NOFILE, 40))
    refused.failed(1, "40 files open", "ulimit -n")
    assert not trade.data.exists()
    trade.run("--full", preexec=lambda: few(resource.RLIMIT_NOFILE, 128)).ended(0)


def test_a_file_that_may_not_grow_is_told(trade: Operator) -> None:
    refused = trade.run("--full", preexec=lambda: few(resource.RLIMIT_FSIZE, 3000))
    refused.failed(1, "larger than this process or its disk allows", "ulimit -f")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (PermissionError(13, "Permission denied", "data/x"), "data/x cannot be used: Permission"),
        (OSError(12, "Cannot allocate memory"), "Cannot allocate memory"),
        (MemoryError(), "no memory left"),
        (RuntimeError("can't start new thread"), "cannot start another thread"),
    ],
)
def test_what_the_system_refuses_is_no_defect(error: Exception, words: str) -> None:
    refused = of_the_machine(error)
    assert refused is not None
    assert words in refused.message
    assert refused.remedy
    assert of_the_machine(RuntimeError("x")) is None
    assert of_the_machine(ZeroDivisionError()) is None


def test_a_process_that_cannot_be_started_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(_: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(multiprocessing.context.SpawnProcess, "start", start)
    with Workers(4) as workers, pytest.raises(MigrationError, match="no more processes") as caught:
        list(workers.in_order(abs, range(9)))
    assert "ulimit -u" in caught.value.remedy


def test_a_home_directory_is_found(trade: Operator) -> None:
    trade.configure(data={"directory": "~/migrated"})
    trade.run("--phase", "extract").ended(0)
    assert (trade.directory / "home" / "migrated" / "manifest.json").exists()
    assert not (trade.directory / "~").exists()
    trade.configure(data={"directory": "~nobody-here/migrated"})
    trade.run("--phase", "extract").failed(2, "data.directory", "home directory")


def test_variables_of_python_change_nothing(trade: Operator) -> None:
    trade.environment.update(
        PYTHONSAFEPATH="1", PYTHONWARNINGS="always", PYTHONOPTIMIZE="1", TQDM_MININTERVAL="never"
    )
    trade.configure(migration={"processes": 2})
    trade.run("--full").ended(0)


@pytest.mark.parametrize("key", ["chiavé", "ключ", "a\nb"])
def test_a_key_that_cannot_be_sent_is_told(trade: Operator, key: str) -> None:
    trade.configure(target={"useLocalStack": False, "createTables": True})
    trade.environment.update(AWS_ACCESS_KEY_ID=key, AWS_SECRET_ACCESS_KEY="planted")
    trade.run("--full").failed(1, "AWS credentials", "no key has")


def test_variables_of_libpq_change_neither_what_is_reached_nor_how(
    trade: Operator, tmp_path: Path
) -> None:
    usual = trade.run("--phase", "extract").ended(0)
    rows = {name: trade.extracted(name) for name in ("buyers", "producers", "sales")}
    (tmp_path / "services").write_text("[other]\nhost=nowhere.invalid\ndbname=other\n")
    trade.environment.update(
        PGSERVICE="other",
        PGSERVICEFILE=str(tmp_path / "services"),
        PGOPTIONS="-c search_path=pg_catalog -c extra_float_digits=0",
        PGHOSTADDR="192.0.2.1",
        PGTZ="Asia/Tokyo",
        PGDATESTYLE="German",
        PGCLIENTENCODING="LATIN1",
        PGTARGETSESSIONATTRS="standby",
        PGSSLMODE="verify-full",
        PGREQUIRESSL="1",
        PGCHANNELBINDING="require",
        PGREQUIREAUTH="none",
        PGGEQO="off",
    )
    assert trade.run("--phase", "extract").ended(0).last_line == usual.last_line
    assert {name: trade.extracted(name) for name in rows} == rows


def test_how_one_proves_who_one_is_may_be_in_the_environment() -> None:
    given = {"PGPASSFILE": "x", "PGSSLCERT": "y", "PGHOST": "z", "HOME": "h", "AWS_PROFILE": "p"}
    take_out(given)
    assert set(given) == {"PGPASSFILE", "PGSSLCERT", "HOME", "AWS_PROFILE"}


@pytest.mark.parametrize(
    "database",
    [
        "postgres://user:hunter22@db/s9",
        "dbname=s9 password=hunter22",
        "user:hunter/22@db:5432",
        "mysql+pymysql://u:hunter22@h/s9",
    ],
)
def test_a_password_in_the_name_of_a_database_is_refused_and_nowhere(
    alone: Operator, database: str
) -> None:
    alone.configure(source={"database": database})
    outcome = alone.run("--full").failed(2, "source.database", "into their own settings")
    assert "hunter" not in outcome.output
    assert not alone.data.exists()


def packed(content: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    return packer.compress(content) + packer.flush()


@pytest.mark.parametrize(
    "filling", [b"\0" * (64 << 20), b"{}\n" * (8 << 20)], ids=["line", "lines"]
)
def test_a_forged_part_is_not_unpacked_past_its_size(tmp_path: Path, filling: bytes) -> None:
    stored, held = packed(filling), 0
    part = BackupPart("items-00-0000.json.gz", 1, 100, "0" * 64, len(stored), "0" * 64)
    with pytest.raises(ArtifactError, match="not what was written"):
        for line in read_part(tmp_path / part.file, part, stored, ()):
            held += len(line)
    assert held <= 2 << 20


@pytest.mark.parametrize(
    "forged",
    [
        {"file": "../../../etc/passwd"},
        {"file": "/etc/passwd"},
        {"bytes": 1 << 40},
        {"bytes": "1"},
        {"items": -1},
        {"stored_bytes": True},
    ],
)
def test_a_forged_description_is_refused(after_a_run: Operator, forged: dict[str, object]) -> None:
    description = next((after_a_run.data / "backups").glob("*/backup.json"))
    body = orjson.loads(description.read_bytes())["backup"]
    sound = {"items": 1, "bytes": 1, "sha256": "", "stored_bytes": 1, "stored_sha256": ""}
    body["parts"] = [{"file": "items-00-0000.json", **sound, **forged}]
    digest = hashlib.sha256(orjson.dumps(body)).hexdigest()
    description.write_bytes(orjson.dumps({"sha256": digest, "backup": body}))
    with pytest.raises(ArtifactError, match="damaged"):
        BackupFolder.open(description.parent)


def test_ctrl_c_while_the_first_process_is_born_ends_it_quietly() -> None:
    program = (
        "import os, signal\n"
        "from utils.processes.pool import Workers\n"
        "from utils.interrupt import StopFlag\n"
        "if __name__ == '__main__':\n"
        "    StopFlag().install()\n"
        "    with Workers(2) as workers:\n"
        "        workers.get_ready(abs)\n"
        "        os.killpg(0, signal.SIGINT)\n"
        "        print(list(workers.in_order(abs, range(-5, 0))))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        timeout=60,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    assert done.stdout == "[5, 4, 3, 2, 1]\n"
    assert done.returncode == ExitCode.DONE
