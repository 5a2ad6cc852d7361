"""What following the log of S9 needs there."""

from __future__ import annotations

from dataclasses import dataclass


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
