"""How a run is summed up on the screen: the ledger as a table, what there is to note, and the last
line, which says what happened and what to type next (utils/cli/closings.py has the words)."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from utils.cli.closings import said
from utils.cli.plan_text import last_line, plan_text
from utils.cli.text_table import table
from utils.config import PHASE_NAMES, PricesConfig
from utils.entities import ENTITY_NAMES
from utils.error_handler import ExitCode
from utils.run.run import COMPLETE, Run
from utils.run.standing import RunStanding, standing_of, stations_of
from utils.telemetry.phase_figures import phase_figures, picture_of_run
from utils.wording.figures import costing, counted, counted_in, lasting
from utils.wording.invocation import SYNC, again, command
from utils.working_copy.place import place_of

_VERIFICATION, _VALIDATION = "verification_report.json", "validation_report.json"
_REPAIR, _REPAIR_EXTRA = "--repair", "--repair-extra"


def after_run(run: Run, code: ExitCode) -> str:
    """The ledger, where the reports are, and the last line."""
    return _closing(run, _last_line(run, code, start_over=command("--full")), notes=_notes(run))


def after_retry(run: Run, code: ExitCode) -> str:
    """The same when the records in quarantine were tried again."""
    start_over = command("retry-quarantine")
    return _closing(run, _last_line(run, code, start_over=start_over), notes=_notes(run))


def after_demo(run: Run, code: ExitCode) -> str:
    """The same for a demonstration, whose servers are gone when it is read."""
    return _closing(run, _last_line(run, code, start_over=again(), goes_on=False))


def after_rehearsal(run: Run, document: Mapping[str, Any]) -> str:
    """The ledger and the plan of a dry run, and the last line."""
    tables = document.get("tables", {}).values()
    stands = replace(
        standing_of(run.manifest),
        kept=sum(each["kept"] for each in tables),
        absent=sum(each["keptAbsent"] for each in tables),
    )
    reasons = _listed(", but ", _reasons(run, stands, goes_on=False))
    return _closing(run, last_line(document, reasons), plan=plan_text(document))


def after_phase(
    run: Run,
    code: ExitCode,
    phase: str,
    entities: Sequence[str],
    further: Sequence[str] = (),
    *,
    tried: Collection[str] = (),
) -> str:
    """The same for a phase by hand in some entities; `further` is to be noted, too, and what verify
    has found was repaired, as far as the repairs that were `tried` could do it."""
    notes = [*_notes(run), *further]
    stopped = (ExitCode.FAILED, ExitCode.VALIDATION_FAILED, ExitCode.VERIFICATION_FAILED)
    stands = standing_of(run.manifest)
    if code in stopped or (phase == "verify" and stands.all_verified):
        last = _last_line(run, code, start_over=command("--phase extract"), tried=tried)
        return _closing(run, last, notes=notes)
    reasons = _listed("; ", _reasons(run, stands, goes_on=False))
    if phase == "verify":
        others = [name for name in ENTITY_NAMES if name not in stands.verified]
        values = {"entities": _names(stands.verified), "others": _names(others)}
        last = said("part-verified", **values, reasons=reasons, next=command("--phase verify"))
        return _closing(run, last, notes=notes)
    values = {"phase": phase, "entities": _names(entities), "next": _next_of(run, phase)}
    done = said("phase-done", **values, reasons=reasons)
    return _closing(run, done, notes=notes if phase == "load" else ())


def after_sync(
    run: Run, code: ExitCode, *, header: Sequence[str], rows: Sequence[Sequence[object]], last: str
) -> str:
    """The same of a sync: what differed in `rows`, and its own `last` line; where it has failed, or
    validation has stopped it, those of a run."""
    if code in (ExitCode.FAILED, ExitCode.VALIDATION_FAILED):
        return _closing(run, _last_line(run, code, start_over=command(SYNC)))
    return _closing(run, last, notes=_notes(run), plan=table(header, rows))


def after_source_read_again(
    run: Run,
    inner: Run,
    code: ExitCode,
    entities: Sequence[str],
    further: Sequence[str] = (),
    *,
    tried: Collection[str] = (),
) -> str:
    """The same when the target has been verified by S9 itself: the stations are those of the
    `inner` run, which has read it; `further` is to be noted, too."""
    stands = standing_of(inner.manifest)
    if code is ExitCode.VERIFICATION_FAILED:
        last = _differs(run, stands, by_source=True, tried=tried)
    else:
        reasons = _listed("; but ", _reasons(run, stands, goes_on=False))
        moment = inner.manifest.snapshot.get("takenAt", "an unknown moment")
        last = said("as-in-source", entities=_names(entities), moment=moment, reasons=reasons)
    notes = [*_notes_on(run, stands), *further]
    return _closing(run, last, notes=notes, stations=inner)


def _next_of(run: Run, phase: str) -> str:
    """What comes after a phase by hand: the rest of the entities, or the next phase."""
    done = run.manifest.phases.get(phase, {})
    rest = [name for name in ENTITY_NAMES if name not in done or done[name].status != COMPLETE]
    if rest:
        return f"{phase} of {rest[0]}: {command(f'--phase {phase} --entity {rest[0]}')}"
    after = PHASE_NAMES[PHASE_NAMES.index(phase) + 1]
    return f"{after}: {command(f'--phase {after}')}"


def _closing(
    run: Run,
    last: str,
    *,
    notes: Sequence[str] = (),
    plan: str = "",
    stations: Run | None = None,
) -> str:
    known = stations or run
    page = (
        run.workspace.plan_page if run.workspace.plan_report.exists() else run.workspace.report_page
    )
    place = place_of(run.config)
    kept = f" (kept in {place})" if place else ""
    reports = f"Reports are in {run.workspace.reports}{kept}; to be looked at: {page.name}"
    below = [*_not_selected(known), reports, *notes, last]
    parts = [summary(known), work_done(run), plan, "\n".join(below)]
    return "\n" + "\n\n".join(filter(None, parts))


def _last_line(
    run: Run,
    code: ExitCode,
    *,
    start_over: str,
    goes_on: bool = True,
    tried: Collection[str] = (),
) -> str:
    """The last line of a run; `start_over` is the command that begins it again. Where nothing
    `goes_on`, no command can do anything with what it leaves. `tried` is as above."""
    if code is ExitCode.FAILED:
        return said("set-aside", why=run.manifest.stopped, again=again())
    if code is ExitCode.VALIDATION_FAILED:
        tolerant = run.config.migration.continue_on_error
        name = f"refused-by-validation{'-all-the-same' if tolerant else ''}"
        return said(name, report=_VALIDATION, start_over=start_over)
    stands = standing_of(run.manifest)
    if code is ExitCode.VERIFICATION_FAILED:
        return _differs(run, stands, tried=tried)
    reasons = _reasons(run, stands, goes_on=goes_on and stands.all_verified)
    if not stands.all_verified:
        return said("loaded", reasons=_listed("; ", reasons), verify=command("--phase verify"))
    return said("arrived-but", reasons="; ".join(reasons)) if reasons else said("arrived")


def _reasons(run: Run, stands: RunStanding, *, goes_on: bool) -> list[str]:
    """Why not everything of S9 is in the target as it is in S9."""
    found = []
    if stands.kept > stands.absent:
        found.append(said("kept", kept=stands.kept - stands.absent, lists=_lists(run, stands)))
    if stands.absent:
        them, lists = _them(stands.absent), _lists(run, stands)
        found.append(said("kept-out", absent=stands.absent, lists=lists, them=them))
    if stands.refused:
        name = "in-quarantine" if goes_on else "held-in-quarantine"
        place, retry = run.workspace.root / "quarantine", command("retry-quarantine")
        values = {"quarantine": place, "retry": retry, "them": _them(stands.refused)}
        found.append(said(name, refused=stands.refused, **values))
    return found


def _them(count: int) -> str:
    return "it" if count == 1 else "them"


def _lists(run: Run, stands: RunStanding) -> str:
    """Where what was kept is listed."""
    known = {
        "conflicts_report.json": run.workspace.report("conflicts").exists(),
        _VERIFICATION: bool(stands.verified),
    }
    names = [name for name, is_there in known.items() if is_there]
    return _names(names) or f"{_VERIFICATION} once it is verified"


def _differs(
    run: Run, stands: RunStanding, *, by_source: bool = False, tried: Collection[str] = ()
) -> str:
    """The last line when verify (also one `by_source`) has found differences, after the repairs
    that were `tried`."""
    counts = {"missing": stands.missing, "different": stands.different}
    found = [said(name, count=count) for name, count in counts.items() if count]
    if stands.only_in_target:
        over = _what_is_over(stands.only_in_target)
        found.append(said("only-in-target", what=over, why=_why_over(run, stands)))
    if stands.behind:
        found.append(said("behind-source", count=stands.behind))
    if stands.other_problems or not found:
        found.append(said("other-problems", count=max(1, stands.other_problems)))
    source = " --from-source" if by_source else ""
    commands = {
        "verify": command(f"--phase verify{source}"),
        "repair": command(f"--phase verify{source} {_REPAIR}"),
        "extra": command(f"--phase verify{source} {_REPAIR_EXTRA}"),
        "both": command(f"--phase verify{source} {_REPAIR} {_REPAIR_EXTRA}"),
        "repaired": run.workspace.report("repair").name,
        "full": command("--full"),
        "retry": command("retry-quarantine"),
    }
    remedy = said(_remedy(stands, tried=tried), **commands)
    return said("differs", report=_VERIFICATION, differences="; ".join(found), remedy=remedy)


def _remedy(stands: RunStanding, *, tried: Collection[str]) -> str:
    """The name of the closing that says what to do about differences; none of them undoes what
    the application has done since. No repair is told that was `tried`."""
    damage = bool(stands.missing or stands.different)
    again = damage and _REPAIR not in tried
    away = bool(stands.only_in_target) and _REPAIR_EXTRA not in tried
    if again:
        return "write-again-and-take-away" if away else "write-again"
    if damage or (stands.only_in_target and not away):
        return "correct-what-is-left"
    if stands.behind and not stands.only_in_target:
        return "bring-up"
    if stands.held and stands.other_problems == stands.wrong_numbers > 0:
        return "load-the-last-sale"
    # What is only there fails checks of whole tables as well: its lines, indexes, sums.
    return "take-away" if stands.only_in_target else "fix-the-cause"


_ONE = {"lines": "line", "items": "other item"}


def _what_is_over(over: Mapping[str, Mapping[str, int]]) -> str:
    """What is only in the target, by kind: "2 sales and 3 lines"."""
    parts = []
    for entity, kinds in over.items():
        for kind in ("records", "lines", "items"):
            count, one = kinds.get(kind, 0), _ONE.get(kind, entity.removesuffix("s"))
            if not count:
                continue
            parts.append(counted(count, one))
    return _names(parts)


def _why_over(run: Run, stands: RunStanding) -> str:
    why = "S9 no longer has them"
    chosen = [getattr(run.config.extraction, name) for name in ENTITY_NAMES]
    if any(each.query or each.where or each.limit is not None for each in chosen):
        why += ", or the extraction settings leave them out"
    if stands.refused:
        why += ", or their records are in quarantine"
    if any(run.workspace.staying(name).exists() for name in ENTITY_NAMES):
        why += ", and a sync has left them: removed_report.json"
    return why


def _notes(run: Run) -> list[str]:
    """What is to be known beside the last line."""
    return _notes_on(run, standing_of(run.manifest))


def _notes_on(run: Run, stands: RunStanding) -> list[str]:
    found = []
    if lines := _new_tables(run):
        found.append(said("new-tables", lines=lines))
    if stands.changed:
        found.append(said("changed-since", changed=stands.changed, report=_VERIFICATION))
    years = sorted(year for year in stands.held if int(year) >= run.began.year)
    if years:  # the Sale Module gives numbers of the current year only
        numbers = ", ".join(f"{stands.held[year]} of {year}" for year in years)
        found.append(said("numbers-held", numbers=numbers))
    if stands.written and stands.strange:
        since = getattr(run.config.transformation, "updated_at", "source")
        found.append(said("in-use-by-now" if since == "migration" else "in-use"))
    return found


def _new_tables(run: Run) -> str:
    """The lines of a configuration that name the tables which this run has imported."""
    entries = run.manifest.phases.get("load", {})
    made = [entries[name].result.get("import") for name in ENTITY_NAMES if name in entries]
    return ", ".join(f'"{each["setting"]}": "{each["table"]}"' for each in made if each)


def _not_selected(run: Run) -> list[str]:
    """Which rows of S9's tables were not to be read, and why."""
    lines = []
    for entity in ENTITY_NAMES:
        reasons = stations_of(run.manifest, entity).not_selected
        told = [f"{count:,} {reason}" for reason, count in reasons.items() if count]
        if told:
            lines.append(said("not-selected", entity=entity, reasons=", ".join(told)))
    return lines


def _listed(before: str, reasons: Sequence[str]) -> str:
    return before + "; ".join(reasons) if reasons else ""


def _names(names: Sequence[str]) -> str:
    """Words in a row: "buyers, producers and sales"."""
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


_HEADER = ("in S9", "extracted", "quarantined", "transformed", "warnings", "loaded", "in target")
_GROUPS = ("records",) * 4 + ("",) + ("items",) * 2


def summary(run: Run) -> str:
    """One row an entity: the stations of the ledger, from the rows of S9's table on if they were
    counted; what the load has kept as the tables had it, if there is any. Above the columns stands
    what they count."""
    found = {name: stations_of(run.manifest, name) for name in ENTITY_NAMES}
    counted = any(each.rows is not None for each in found.values())
    keeps = any(each.kept for each in found.values())
    rows: list[list[object]] = []
    for name, at in found.items():
        left = None if at.rows is None else sum(at.not_selected.values())
        ahead = [at.rows, left] if counted else []
        records = [at.selected, at.extracted, at.quarantined, at.transformed, at.warnings]
        items = [at.loaded, *([at.kept] if keeps else []), at.found]
        rows.append([name.capitalize(), *ahead, *records, *items])
    ahead_of = ("rows", "not selected") if counted else ()
    *header, last = _HEADER
    beside = ("kept",) if keeps else ()
    groups = ["", *("records" for _ in ahead_of), *_GROUPS, *("items" for _ in beside)]
    return table(["", *ahead_of, *header, *beside, last], rows, groups)


_WORK = ("", "time", "rate", "errors", "retries", "write units", "read units")


def work_done(run: Run, now: float | None = None) -> str:
    """One row a phase of this command, and of those that it resumes: how long, how fast, what went
    wrong, what DynamoDB has charged; below them all together, and the price. "" where nothing is
    known."""
    picture = picture_of_run(run.workspace.events, run.manifest.run_id)
    figures = phase_figures(picture)
    if not figures:
        return ""
    rows: list[list[object]] = [
        [
            each.phase.capitalize(),
            lasting(each.seconds),
            f"{counted_in(each.per_second, each.unit)}/s" if each.done else None,
            each.errors,
            each.retries,
            round(each.write_units) or None,
            round(each.read_units) or None,
        ]
        for each in figures
    ]
    took = (time.time() if now is None else now) - picture.began + picture.earlier_seconds
    errors, retries = (
        sum(each) for each in zip(*((f.errors, f.retries) for f in figures), strict=True)
    )
    writes, reads = sum(f.write_units for f in figures), sum(f.read_units for f in figures)
    total = [round(writes) or None, round(reads) or None]
    rows.append(["All", lasting(took), "", errors, retries, *total])
    price = _price(run.config.prices, writes, reads, _imports(run))
    return "\n".join(filter(None, [table(_WORK, rows), price]))


def _imports(run: Run) -> float:
    """What the imports of this run's tables cost."""
    entries = run.manifest.phases.get("load", {}).values()
    return float(sum(each.result.get("import", {}).get("price", 0) for each in entries))


def _price(
    prices: PricesConfig, write_units: float, read_units: float, imports: float = 0.0
) -> str:
    """What so many units cost on demand, with the price of imports; "" when there are none."""
    if not write_units and not read_units and not imports:
        return ""
    amount = prices.on_demand(write_units, read_units) + imports
    if imports:
        return (
            f"Price: {costing(amount, prices.currency)}, of which the import "
            f"{costing(imports, prices.currency)} (prices of {prices.region}, {prices.as_of})"
        )
    return (
        f"Price: {costing(amount, prices.currency)} on demand (prices of {prices.region}, "
        f"{prices.as_of}; capacity that is provisioned is paid for by the hour)"
    )
