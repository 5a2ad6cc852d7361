"""How a sync is summed up on the screen."""

from __future__ import annotations

from collections import Counter
from typing import Any

import orjson

from utils.cli.closings import said
from utils.cli.summary import after_sync as closing
from utils.error_handler import ExitCode
from utils.run.following import Following
from utils.run.run import Run
from utils.run.standing import standing_of
from utils.wording.invocation import FOLLOW, command, in_earnest

_FIGURES = ("unchanged", "new", "changed", "kept", "removed")
_HEADER = ["", "as they were", "new", "changed", "kept", "no longer in S9"]


def after_sync(run: Run, code: ExitCode) -> str:
    """The ledger, what differed, and the last line of a sync."""
    report = _report(run)
    last = said(
        "in-step",
        **_counts(report),
        moment=run.manifest.snapshot.get("takenAt", "an unknown moment"),
        reasons=_reasons(run, report),
        verify=command("--phase verify"),
    )
    return closing(run, code, header=_HEADER, rows=_rows(report), last=last)


def after_following(run: Run, code: ExitCode) -> str:
    """The last line when S9's log is followed no longer."""
    stands = Following.load(run.workspace.following)
    if code not in (ExitCode.DONE, ExitCode.QUARANTINED):
        return after_sync(run, code)
    return said(
        "followed",
        moment=run.manifest.snapshot.get("takenAt", "an unknown moment"),
        since=stands.since,
        passes=stands.passes,
        records=stands.records,
        reasons=_reasons(run, _report(run)),
        follow=command(FOLLOW),
        stop=command("sync --stop"),
    )


def after_sync_rehearsal(run: Run, code: ExitCode) -> str:
    """The same of a sync that has written nothing."""
    report = _report(run)
    last = said(
        "sync-foreseen",
        **_counts(report),
        reasons=_reasons(run, report),
        report=run.workspace.report("sync"),
        sync=in_earnest(),
    )
    return closing(run, code, header=_HEADER, rows=_rows(report), last=last)


def _report(run: Run) -> dict[str, Any]:
    """What the report says of each entity; nothing where the sync has not come so far."""
    path = run.workspace.report("sync")
    found: dict[str, Any] = orjson.loads(path.read_bytes())["entities"] if path.exists() else {}
    return found


def _counts(report: dict[str, Any]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for each in report.values():
        total.update({name: each[name] for name in _FIGURES})
        total["away"] += _away(each)
    counts = {name: total[name] for name in ("new", "changed", "unchanged")}
    return {**counts, "removed": total["away"]}


def _away(figures: dict[str, Any]) -> int:
    """How many records were taken away, or softly deleted."""
    taken = figures.get("takenAway") or {}
    return int(taken.get("deleted", 0)) + int(taken.get("softDeleted", 0))


def _reasons(run: Run, report: dict[str, Any]) -> str:
    """Why the target is not as S9 is, each reason after what was done."""
    found, files, stands = [], run.workspace, standing_of(run.manifest)
    kept = sum(each["kept"] for each in report.values())
    if kept:
        found.append(said("kept-changed", kept=kept, report=files.report("conflicts")))
    stays = sum(each["removed"] - _away(each) for each in report.values())
    if stays:
        names = ("removed", "removed_plan")
        lists = [path for path in map(files.report, names) if path.exists()]
        found.append(said("kept-since-gone", stays=stays, report=lists[0] if lists else ""))
    if stands.refused:
        place = files.root / "quarantine"
        found.append(said("held-in-quarantine", refused=stands.refused, quarantine=place))
    return "".join(f"; {each}" for each in found)


def _rows(report: dict[str, Any]) -> list[list[object]]:
    return [[name, *(each[figure] for figure in _FIGURES)] for name, each in report.items()]
