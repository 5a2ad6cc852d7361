"""The gates of the cut-over: each says in words why it is shut, "" when it is open."""

from __future__ import annotations

from collections.abc import Mapping

from utils.cutover.ways import CaughtUp, Compared, Look, Writers
from utils.wording.figures import counted


def of_sync(done: CaughtUp, most: int | None = None) -> str:
    """Whether the target is in step: the pass has ended well, and has found at most so many
    changes."""
    if not done.ended_well:
        return f"the sync has ended with exit code {int(done.code)}"
    if most is not None and done.changes > most:
        changes = counted(done.changes, "changed record")
        return f"the last pass has found {changes}, and --max-changes is {most:,}"
    return ""


def of_writers(found: Writers) -> str:
    """Whether nobody holds a transaction open that has written into S9's tables."""
    if not found.names:
        return ""
    return (
        f"{counted(len(found.names), 'open transaction')} may still be committed in S9: "
        f"{'; '.join(found.names)}"
    )


def of_looks(before: Mapping[str, str], after: Look, since: str) -> str:
    """Whether S9 has the same rows as in an earlier look (the SHA-256 of its files), of `since`."""
    files = after.files.items()
    differ = sorted(name for name, sha in files if not sha or before.get(name) != sha)
    if not differ:
        return ""
    return f"S9 is not quiet: rows of {', '.join(differ)} have changed since {since}"


def of_verification(found: Compared) -> str:
    """Whether the target is what S9 is, but for what somebody may accept."""
    parts = []
    if found.moved:
        count = found.figures["changedInSource"]
        parts.append(
            f"{counted(count, 'item')} changed in S9 since it was stopped: {_named(found.moved)}"
        )
    if found.damaged:
        parts.append(
            f"the target differs from S9, and nobody has signed that: {_named(found.damaged)}"
        )
    parts += found.problems
    return "; ".join(parts)


def _named(names: tuple[str, ...]) -> str:
    return ", ".join(names)
