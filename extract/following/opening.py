"""Opening the log of S9, whichever database it is on, and what has to be there for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from extract.change_log.change_log import ChangeLog, Followed
from extract.change_log.requirement import Requirement
from utils.config import SourceConfig
from utils.interrupt import StopFlag


def open_log(
    config: SourceConfig,
    stop: StopFlag | None,
    followed: Sequence[Followed],
    name: str,
    known: Mapping[str, str],
) -> ChangeLog:
    """Open the log of S9 from where it was confirmed last: `known` is what `ChangeLog.state` gave
    then, empty for nothing. Where it cannot go on from there, it begins now, and says why
    (`begins_anew`). What it needs in S9 (a slot, a publication) is made, and called `name`.

    Raises SourceError when S9 does not allow it, with everything that is missing;
    SourceUnavailable when it cannot be reached.
    """
    if config.type == "mysql":  # each database's library is loaded only when it is asked for
        from extract.change_log.mysql.binlog import open_binlog

        return open_binlog(config, stop, followed, name, known)
    from extract.change_log.postgresql.slot_log import open_slot_log

    return open_slot_log(config, stop, followed, name, known)


def requirements(
    config: SourceConfig, followed: Sequence[Followed], name: str = ""
) -> list[Requirement]:
    """What following needs, each with whether it is there; `name` is what `open_log` is given, ""
    for any. Nothing is changed. Raises SourceUnavailable and SourceError."""
    if config.type == "mysql":
        from extract.change_log.mysql.requirements import mysql_requirements

        return mysql_requirements(config, followed)
    from extract.change_log.postgresql.requirements import postgres_requirements

    return postgres_requirements(config, followed, name)


def leftovers(config: SourceConfig, prefix: str) -> list[str]:
    """What S9 still has of followed logs whose names begin so, in words ("slot … keeps 1.2 GB of
    log, inactive since …"); empty where the account may not ask. Raises SourceUnavailable."""
    if config.type == "mysql":
        return []  # nothing is made there
    from extract.change_log.postgresql.slots import slots_of

    return slots_of(config, prefix)


def drop_log(config: SourceConfig, name: str) -> list[str]:
    """Take away what S9 has for a followed log of this name; returns what was taken away, in words.
    Done again, it does nothing. Raises SourceUnavailable and SourceError."""
    if config.type == "mysql":
        return []
    from extract.change_log.postgresql.slots import drop_slot

    return drop_slot(config, name)
