"""What following the log of S9 needs there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from utils.error_handler import SourceError
from utils.wording.invocation import command

CHECK, UNPRIVILEGED = "sync --check", "sync --every 60"


@dataclass(frozen=True)
class Requirement:
    """Something that following the log needs: what, in a sentence; whether it is there; and what a
    DBA runs or sets for it, line by line: on a server of one's own, on Amazon RDS, on Aurora (the
    last two only where they differ)."""

    name: str
    told: str
    holds: bool
    own: tuple[str, ...] = ()
    rds: tuple[str, ...] = ()
    aurora: tuple[str, ...] = ()


def require_met(found: Iterable[Requirement], database: str) -> None:
    """Raise SourceError naming everything that is missing."""
    missing = [each.told for each in found if not each.holds]
    if missing:
        raise SourceError(
            f"the log of S9 ({database}) cannot be followed: {'; '.join(missing)}",
            remedy=f"{command(CHECK)} prints what a DBA runs for it; {command(UNPRIVILEGED)} "
            "works without",
        )
