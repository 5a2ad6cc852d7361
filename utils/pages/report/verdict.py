"""How it stands, in a sentence, and the figures at a glance."""

from __future__ import annotations

from collections.abc import Iterator

from markupsafe import Markup

from utils.entities import ENTITY_NAMES
from utils.error_handler import ExitCode
from utils.pages.parts import BAD, BUSY, CALM, CARE, GOOD, Figure, Verdict
from utils.pages.rendering import plain
from utils.pages.report.documents import Documents
from utils.run.manifest import Manifest
from utils.run.standing import Stations, stations_of
from utils.status.status import FINISHED, NONE, RUNNING, Status
from utils.wording.figures import costing, counted, lasting
from utils.wording.invocation import for_real

_ENDED = {
    ExitCode.DONE: (GOOD, "Done"),
    ExitCode.QUARANTINED: (CARE, "Done, with exceptions"),
    ExitCode.VALIDATION_FAILED: (BAD, "Refused by validation"),
    ExitCode.VERIFICATION_FAILED: (BAD, "The target differs"),
}
_SHOWS = "demo"
_BESIDE = ("backup", "restore", "rollback", "evidence")


def verdict_of(known: Documents) -> Verdict:
    """The verdict on top of a page."""
    status = known.status
    if status is None:
        return Verdict(
            BAD,
            "It cannot be told how this run stands",
            known.troubles[0] if known.troubles else Markup("the files cannot be read"),
            next=for_real("status"),
        )
    kind, state = _state_of(status, known.manifest)
    words = status.sentence if status.state == FINISHED and status.sentence else status.words
    return Verdict(kind, state, words, list(_further(known, status)), status.next)


def _state_of(status: Status, manifest: Manifest | None) -> tuple[str, str]:
    if status.state == RUNNING:
        return BUSY, "At work"
    if status.state == NONE:
        return CALM, "Nothing has been done yet"
    if status.state == FINISHED:
        code = status.exit_code
        if status.command == _SHOWS and manifest is not None:  # it ends well when it has shown that
            code = manifest.outcome
        found = next((_ENDED[each] for each in _ENDED if each == code), None)
        return found or (CARE, f"Ended with exit code {code}")
    return BAD, "Stopped before its end"


def _further(known: Documents, status: Status) -> Iterator[str | Markup]:
    """What a reader must know beside the verdict."""
    manifest = known.manifest
    if status.state not in (FINISHED, NONE) and status.sentence:
        yield status.sentence
    if manifest is not None and status.command in _BESIDE and manifest.outcome is not None:
        found = next((words for code, (_, words) in _ENDED.items() if code == manifest.outcome), "")
        run = f"run {manifest.run_id} ended with exit code {manifest.outcome}"
        yield f"Before that, {run}" + (f" ({found.lower()})" if found else "")
    if manifest is not None and manifest.rolled_back:
        how = "was undone" if manifest.rolled_back == "done" else "is being undone"
        yield f"The load of run {manifest.undoes} {how}"
    statement = manifest.snapshot.get("statement") if manifest else ""
    if statement:
        yield f"S9: {statement}"
    if status.cutover.is_switched:
        yield f"The Sale Module owns the data since {status.cutover.since}"
    elif status.cutover.step:
        yield f"S9 owns the data; of the cut-over, {status.cutover.step} is done"
    yield from known.troubles


def figures_of(known: Documents) -> list[Figure]:
    """The figures that everybody asks for first; those that are not known are left out."""
    return [each for each in _figures(known) if each.value is not None]


def _figures(known: Documents) -> Iterator[Figure]:
    manifest = known.manifest
    if manifest is not None:
        stations = [stations_of(manifest, name) for name in ENTITY_NAMES]
        yield Figure("Records to migrate", _sum(stations, "selected"), "selected in S9")
        yield Figure("Records in quarantine", _sum(stations, "quarantined"), "not loaded")
        yield Figure("Items loaded", _sum(stations, "loaded"), _of_items(stations))
        yield Figure("Items found in the target", _sum(stations, "found"), "by verification")
    if known.history.seconds:
        took = lasting(known.history.seconds)
        yield Figure("Time", plain(took), _commands(known))
    units = [(each.write_units, each.read_units) for each in known.phases]
    writes, reads = (sum(each) for each in zip(*units, strict=True)) if units else (0, 0)
    imports = known.price_of_imports
    if known.config is not None and (writes or reads or imports):
        prices = known.config.prices
        price = costing(prices.on_demand(writes, reads) + imports, prices.currency)
        about = "reads on demand, and imports" if imports else "on demand, reads and writes"
        yield Figure("Price", plain(price), about)


def _sum(stations: list[Stations], name: str) -> int | None:
    found = [value for each in stations if (value := getattr(each, name)) is not None]
    return sum(found) if found else None


def _of_items(stations: list[Stations]) -> str:
    items = _sum(stations, "items")
    return f"of {items:,} to be loaded" if items is not None else ""


def _commands(known: Documents) -> str:
    count = len(known.history.commands)
    return "in one go" if count == 1 else f"in {counted(count, 'command')}"


def subject(manifest: Manifest | None) -> list[str]:
    """What a page is about: the run, where from, where to."""
    if manifest is None:
        return []
    source, target = manifest.source, manifest.target
    found = [f"Run {manifest.run_id}"]
    if source:
        found.append(f"S9: {source.get('database', '')} on {source.get('host', '')}")
    if target:
        where = target.get("endpoint") or f"AWS, {target.get('region', '')}"
        found.append(f"to {target.get('salesTable', '')} on {where}")
    return found
