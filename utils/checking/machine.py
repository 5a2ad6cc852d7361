"""This machine as `check` and the plan look at it: what a run needs of it, and its directories."""

from __future__ import annotations

import os
import platform
import resource
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from utils.checking.check import Check
from utils.checking.looking import Looking
from utils.config import SPARK, Config
from utils.entities import ENTITY_NAMES
from utils.error_handler import ExitCode, MigrationError, StorageError
from utils.files.storage import storage_errors
from utils.files.workspace import Workspace
from utils.fleet.engines import require_spark
from utils.processes.pool import available_cores
from utils.run.lifecycle import bind
from utils.run.lock import require_free
from utils.run.manifest import Manifest
from utils.run.session import bring_files
from utils.settings.environment import make_room
from utils.version import VERSION
from utils.wording.figures import counted
from utils.wording.invocation import command
from utils.working_copy.place import place_of

_MB = 1 << 20
_NEEDED_MEMORY = 300 * _MB
# Of all files together, for each row of S9's tables, measured on the demonstration's data: 740
# bytes extracted, and twice 1,070 transformed (a second copy until the numbering is decided).
_BYTES_A_ROW = 3_000
_ROOM_FOR_BACKUP = 1.5  # of what DynamoDB counts: names and types are written out
_CGROUP = Path("/sys/fs/cgroup")


def check_machine(
    config: Config, files: Workspace, others: Iterable[Check], looking: Looking
) -> None:
    """Look at this machine. `others` are the checks of S9 and of the target: from their figures
    comes how much room the files need."""
    looking.ok(
        "program",
        f"version {VERSION} on Python {platform.python_version()}, "
        f"{counted(available_cores(), 'core')}",
    )
    if config.engine.type == SPARK:
        with looking.step("engine"):
            found, master = require_spark(), config.engine.master or "all cores of this machine"
            looking.ok("engine", f"{found}, not started for this; master: {master}")
    with looking.step("open files"):
        make_room()
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        looking.ok("open files", f"{soft:,} at once" if soft > 0 else "no limit")
    _memory(looking)
    _place_in_s3(config, looking)
    with looking.step("data directory"):
        bring_files(config)
        _directory(looking, "data directory", files.root, "data.directory")
        _standing(config, files, looking)
    with looking.step("backup directory"):
        if config.backup.enabled and config.migration.backup_before_load:
            place = Path(config.backups)
            if files.root not in place.parents:
                _directory(looking, "backup directory", place, "backup.directory")
    with looking.step("disk space"):
        _space(config, files, list(others), looking)
    for setting, path in _key_files(config):
        _key_file(looking, setting, path)


def _place_in_s3(config: Config, looking: Looking) -> None:
    place = place_of(config)
    if place is not None:
        from utils.checking.place_checks import check_place

        check_place(config, place, looking)


def _key_file(looking: Looking, setting: str, path: Path) -> None:
    try:
        path.read_bytes()
    except OSError as error:
        looking.fail(
            setting,
            f"{path} cannot be read: {error.strerror}",
            f"let {setting} name the file with the age secret key, readable for this user, or "
            "leave it out: only restore and later phases need it",
        )
    else:
        looking.ok(setting, f"{path} can be read")


def _memory(looking: Looking) -> None:
    """What is free for this process, of the machine's and of its container's."""
    found = available_memory()
    if found is None:
        looking.skip("memory", "the operating system does not say how much is free")
    elif found < _NEEDED_MEMORY:
        looking.warn(
            "memory",
            f"{found // _MB:,} MB are free, and a run needs about {_NEEDED_MEMORY // _MB}",
            "free some, or set migration.processes to 1",
        )
    else:
        looking.ok("memory", f"{found // _MB:,} MB are free")


def available_memory() -> int | None:
    """The bytes of memory that this process may still use, None where nobody says."""
    found = []
    with suppress(OSError, ValueError):
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                found.append(int(line.split()[1]) * 1024)
    with suppress(OSError, ValueError):
        most = int((_CGROUP / "memory.max").read_text(encoding="ascii"))
        used = int((_CGROUP / "memory.current").read_text(encoding="ascii"))
        found.append(most - used)
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    if soft != resource.RLIM_INFINITY:
        found.append(soft)
    return max(0, min(found)) if found else None


def _directory(looking: Looking, name: str, path: Path, setting: str) -> None:
    """Whether files can be written there: one is, and is gone again."""
    parent = _nearest(path)
    if not parent.is_dir():
        raise StorageError(
            f"{path} cannot be used: {parent} is no directory",
            remedy=f"move that away, or let {setting} name another directory",
        )
    try:
        handle, probe = tempfile.mkstemp(prefix=".check-", dir=parent)
        os.close(handle)
        Path(probe).unlink()
    except OSError as error:
        raise StorageError(
            f"{path} cannot be written: {error.strerror}",
            remedy=f"give it to this user (chown {os.geteuid()} {parent}), or let {setting} name "
            "another directory, on a disk that can be written",
        ) from error
    looking.ok(name, f"{path} can be written" + ("" if parent == path else " (a run makes it)"))


def _nearest(path: Path) -> Path:
    """The directory, or that above it in which it is going to be made. Raises StorageError."""
    with storage_errors(path):
        while not path.exists():
            path = path.parent
    return path


def _standing(config: Config, files: Workspace, looking: Looking) -> None:
    """What a run would meet there: another run, another migration, an unfinished one."""
    name = "runs"
    with looking.step(name):
        try:
            require_free(files.lock)
        except MigrationError as error:
            looking.warn(name, error.message, error.remedy)
            return
        manifest = Manifest.load(files.manifest) if files.manifest.is_file() else None
        if manifest is None:
            looking.ok(name, "there is none yet")
            return
        bind(manifest, config, files.root)
        _unfinished(manifest, looking, name)


def _unfinished(manifest: Manifest, looking: Looking, name: str) -> None:
    ended = manifest.outcome not in (None, ExitCode.FAILED, ExitCode.INTERRUPTED)
    if ended or not manifest.begun or manifest.rolled_back == "done":
        looking.ok(name, f"the last one ({manifest.run_id}) has ended")
        return
    why = manifest.stopped or "it was killed, or the machine went down"
    looking.warn(
        name,
        f"run {manifest.run_id} has not come to its end: {why}",
        f"resume it: {command('--resume')}; or start over: {command('--full --restart')}",
    )


def _space(config: Config, files: Workspace, others: Sequence[Check], looking: Looking) -> None:
    """The room on the disk, against what the files and the backups are going to need."""
    items = sum(each.figures.get("bytes", 0) for each in others)
    backup = int(items * _ROOM_FOR_BACKUP) if config.backup.enabled else 0
    needed, how = _estimate(files, others)
    place, backups = _nearest(files.root), _nearest(Path(config.backups))
    with storage_errors(place):
        is_one_disk = place.stat().st_dev == backups.stat().st_dev
    if not is_one_disk and backup:
        how_backup = "by what the tables hold"
        _room(looking, "disk space of backups", backups, backup, how_backup, "backup.directory")
    if needed is not None and is_one_disk and backup:
        needed, how = needed + backup, f"{how}, and a backup of what the tables hold"
    _room(looking, "disk space", place, needed, how, "data.directory")


def _room(
    looking: Looking, name: str, place: Path, needed: int | None, how: str, setting: str
) -> None:
    with storage_errors(place):
        free = shutil.disk_usage(place).free
    said = f"{_megabytes(free)} are free in {place}"
    if needed is None:
        looking.ok(name, f"{said}; how much is needed is not known: {how}", free=free)
    elif free < needed:
        looking.fail(
            name,
            f"{said}, and a run needs about {_megabytes(needed)} ({how})",
            f"free some, or let {setting} name a directory on a larger disk",
        )
    else:
        found = f"{said}; a run needs about {_megabytes(needed)} ({how})"
        looking.ok(name, found, free=free, needed=needed)


def _estimate(files: Workspace, others: Iterable[Check]) -> tuple[int | None, str]:
    """The bytes that a run's files take, None when nothing is known; and where that comes from."""
    if known := _last_sizes(files):
        return known, "as the files of the last run"
    rows = sum(sum(each.figures.values()) for each in others if each.name == "rows")
    if not rows:
        return None, "S9 has not said how many rows it has"
    return rows * _BYTES_A_ROW, f"{_BYTES_A_ROW:,} bytes for each of {counted(rows, 'row')}"


def _last_sizes(files: Workspace) -> int:
    """What the files of the last run take while a run is at work; 0 when there are none."""
    sizes: Mapping[str, int] = {}
    with suppress(MigrationError):
        if files.manifest.is_file() and (manifest := Manifest.load(files.manifest)):
            sizes = {name: entry.bytes for name, entry in manifest.artifacts.items()}
    wanted = [f"extracted/{name}.json" for name in ENTITY_NAMES]
    if not all(name in sizes for name in wanted):
        return 0
    transformed = [sizes.get(f"transformed/{name}.json", 0) for name in ENTITY_NAMES]
    return sum(sizes[name] for name in wanted) + 2 * sum(transformed)


def _megabytes(count: int) -> str:
    return f"{count / _MB:,.0f} MB" if count >= 10 * _MB else f"{count / _MB:,.1f} MB"


def _key_files(config: Config) -> list[tuple[str, Path]]:
    named = {"backup.identity": config.backup.identity, "data.identity": config.data.identity}
    return [(setting, Path(path)) for setting, path in named.items() if path]
