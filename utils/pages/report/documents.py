"""What a page is made of: the reports that programs read, the manifest, the events, and how the
command stands. Everything is read, nothing is computed, nothing is written."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from utils.config import Config
from utils.entities import ENTITY_NAMES
from utils.error_handler import MigrationError
from utils.files.storage import require_plain, storage_errors
from utils.files.workspace import Workspace
from utils.reports.report_schemas import problems_of, report_of
from utils.run.manifest import Manifest
from utils.status.status import Status, Watcher
from utils.telemetry.events import Told
from utils.telemetry.history import History
from utils.telemetry.phase_figures import PhaseFigures, phase_figures
from utils.telemetry.picture import Picture

Report = Mapping[str, Any]

REPORTS = (
    "mapping",
    "findings",
    "validation",
    "load",
    "conflicts",
    "sync",
    "removed",
    "verification",
    "reconciliation",
    "repair",
    "rollback",
    "cutover",
    "drift",
    *(f"only_in_target_{name}" for name in ENTITY_NAMES),
)


LISTED = 1_000
"""Entries of a list that are read of a large report."""
_WHOLE = 4 << 20  # bytes of a report that is read whole
_ENTRY = re.compile(rb"\s*\{.*\},?\s*")


@dataclass(frozen=True)
class Documents:
    """All there is of a data directory. `reports` has those of REPORTS that are there, and `plan`
    the plan of its rehearsal or its own; `troubles` are sentences about what cannot be read.
    `config` is None where it is not known."""

    files: Workspace
    status: Status | None
    manifest: Manifest | None
    reports: Mapping[str, Report]
    plan: Report
    history: History
    phases: list[PhaseFigures]
    config: Config | None
    troubles: list[str] = field(default_factory=list)

    @property
    def price_of_imports(self) -> float:
        """What the imports of the last load cost, in the currency of `prices`."""
        loads = self.report("load").get("entities", {}).values()
        return float(sum(each["import"]["price"] for each in loads if "import" in each))

    def report(self, name: str) -> Report:
        """A report, empty where there is none."""
        return self.reports.get(name, {})

    @property
    def is_rehearsal(self) -> bool:
        """Whether this is the directory of a rehearsal, which has a plan of its own."""
        return self.files.plan_report.exists()


def documents_of(root: Path, config: Config | None, now: float | None = None) -> Documents:
    """Read what there is in a data directory at this moment (`now`: seconds since 1970). Raises
    nothing for what is missing or damaged: it is among the troubles."""
    files, troubles, events = Workspace(root), list[str](), list[Told]()
    manifest = manifest_of(files, troubles)
    watcher = Watcher(files, also=events.append)
    status = _status(watcher, troubles, time.time() if now is None else now)
    run = status.run_id if status and status.run_id else (manifest.run_id if manifest else "")
    picture = Picture()
    for told in events:
        if told.run == run:
            picture.take(told)
    return Documents(
        files=files,
        status=status,
        manifest=manifest,
        reports=reports_of(files, troubles),
        plan=_read(files.plan_report, troubles)
        or _read(Workspace(files.dry_run).plan_report, troubles),
        history=History.of(events, run),
        phases=phase_figures(picture),
        config=config,
        troubles=troubles,
    )


def manifest_of(files: Workspace, troubles: list[str]) -> Manifest | None:
    """The manifest; why it cannot be read is put to the troubles."""
    try:
        with storage_errors(files.manifest):
            return Manifest.load(files.manifest)
    except MigrationError as error:
        troubles.append(error.message)
    return None


def _status(watcher: Watcher, troubles: list[str], now: float) -> Status | None:
    try:
        return watcher.look(now)
    except MigrationError as error:
        if error.message not in troubles:
            troubles.append(error.message)
    return None


def reports_of(files: Workspace, troubles: list[str]) -> dict[str, Report]:
    """Those of REPORTS that are there; what cannot be read is put to the troubles."""
    read = {name: _read(files.report(name), troubles) for name in REPORTS}
    return {name: found for name, found in read.items() if found}


def text_of(path: Path) -> bytes:
    """A report, whole; of a large one's lists, which have an entry a line, the first entries: how
    many there are is told beside them. Raises OSError."""
    if path.stat().st_size <= _WHOLE:
        return path.read_bytes()
    kept: list[bytes] = []
    entries = 0  # of the list that is gone through
    with path.open("rb") as lines:
        for line in lines:
            if _ENTRY.fullmatch(line):
                entries += 1
            else:
                if entries > LISTED:  # the last one that is kept has none behind it
                    kept[-1] = kept[-1].rstrip().removesuffix(b",") + b"\n"
                entries = 0
            if entries <= LISTED:
                kept.append(line)
    return b"".join(kept)


def _read(path: Path, troubles: list[str]) -> Report:
    """A document of the shape that its name promises, empty where there is none."""
    try:
        with storage_errors(path):
            require_plain(path)
            if not path.exists():
                return {}
            text = text_of(path)
    except MigrationError as error:
        troubles.append(error.message)
        return {}
    report = report_of(path.name)
    try:
        if report is None or problems_of(report, text):
            troubles.append(
                f"{path} does not have the form of this version's reports: it is not shown here"
            )
            return {}
        found: Report = orjson.loads(text)
    except orjson.JSONDecodeError:
        troubles.append(f"{path} is damaged: it is not shown here")
        return {}
    return found
