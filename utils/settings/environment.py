"""What this process takes from its environment, and what it must not.

The configuration says what is reached and how. libpq would let variables of the environment say
otherwise (another host, another schema, other rendering), a progress bar would take its layout from
there: they are taken out before anything is connected to. What AWS finds there (profile, keys,
certificates) is used on purpose (docs/security.md).
"""

from __future__ import annotations

import resource
from collections.abc import MutableMapping

from utils.error_handler import StorageError
from utils.wording.invocation import again

_TAKEN_OUT = ("PG", "TQDM_")
# How one proves who one is, which changes nothing of what is reached.
_KEPT = {"PGPASSWORD", "PGPASSFILE", "PGSSLCERT", "PGSSLKEY", "PGSSLPASSWORD", "PGKRBSRVNAME"}
_OPEN_FILES = 128  # what a small run needs at once: libraries, connections, files, processes
_WANTED_FILES = 4096


def take_out(environ: MutableMapping[str, str]) -> None:
    """Take out of the environment what would change what is reached, read or drawn."""
    for name in list(environ):
        if name.startswith(_TAKEN_OUT) and name not in _KEPT:
            del environ[name]


def make_room() -> None:
    """Have as many files open as a run needs, if the limits of this process can be raised so far.

    Raises StorageError when too few are allowed.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    endless = resource.RLIM_INFINITY
    within = _WANTED_FILES if hard == endless else min(_WANTED_FILES, hard)
    if soft != endless and soft < within:
        resource.setrlimit(resource.RLIMIT_NOFILE, (within, hard))
        soft = within
    if soft != endless and soft < _OPEN_FILES:
        raise StorageError(
            f"this process may have only {soft} files open, and needs at least {_OPEN_FILES}",
            remedy=f"allow it more: `ulimit -n {_WANTED_FILES}`, or LimitNOFILE of the service; "
            f"then: {again()}",
        )
