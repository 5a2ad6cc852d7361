"""What the dashboard shows of a data directory: parts of a page, each made of what `status`, the
events and the reports say. Nothing is computed here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from markupsafe import Markup

from utils.config import Config
from utils.cutover.state import STEPS
from utils.dashboard.steps import shown_phases, shown_steps, step_name
from utils.dashboard.watched import LATEST, Seen
from utils.entities import ENTITY_NAMES
from utils.error_handler import ArtifactError
from utils.files.encryption import SUFFIX
from utils.ownership import CUTOVER, S9, read_cutover
from utils.pages.parts import (
    BAD,
    BUSY,
    CALM,
    CARE,
    GOOD,
    KEY,
    NUMBER,
    WIDE,
    Cell,
    Column,
    Figure,
    Folded,
    Pairs,
    Part,
    Row,
    Section,
    State,
    Table,
    Text,
    Verdict,
)
from utils.pages.rendering import plain, render, severity_of, when
from utils.pages.report.documents import Documents, Report, manifest_of, reports_of
from utils.pages.report.ledger import ledger
from utils.pages.report.verdict import figures_of, verdict_of
from utils.pages.report.work import commands_of, curve_of, retried_of, throttled_of, time_line_of
from utils.run.manifest import Manifest
from utils.run.standing import stations_of
from utils.status.status import FleetStatus, FollowingStatus, Status, StepStatus
from utils.telemetry.events import Found
from utils.telemetry.phase_figures import phase_figures
from utils.wording.figures import counted, counted_in, lasting, moment_text
from utils.wording.invocation import for_real
from utils.wording.terminal import printable

PARTS = (
    "verdict",
    "figures",
    "phases",
    "fleet",
    "work",
    "findings",
    "quarantine",
    "following",
    "cutover",
    "ledger",
)
"""The parts of the page that change, in their order."""

_SLOWLY = 2.0  # seconds between two drawings of the same curve

GATES = {
    "in-step": "The target is in step with S9",
    "frozen": "S9 is stopped, and stays as it is",
    "caught-up": "The last changes of S9 are in the target",
    "verified": "The target was compared with S9",
    "accepted": "What differs is accepted by name",
    "certified": "The certificate is written",
    "switched": "The application is switched: the Sale Module owns the data",
}
"""The steps of the cut-over (utils/cutover/state.py), for people."""


@dataclass
class Kept:
    """What is kept from one rendering to the next, of one directory: reports as long as they are
    the same, and a curve for a moment."""

    signs: object = None
    manifest: Manifest | None = None
    reports: dict[str, Report] = field(default_factory=dict)
    troubles: list[str] = field(default_factory=list)
    drawn_at: float = 0.0
    drawn: str = ""


def rendered(seen: Seen, kept: Kept, config: Config | None) -> dict[str, str]:
    """Each of PARTS as HTML, "" for one that has nothing to say."""
    if seen.status is None:
        return dict.fromkeys(PARTS, "") | {"verdict": _verdict(_in_trouble(seen))}
    status, known = seen.status, _documents(seen, seen.status, kept, config)
    makes: dict[str, Callable[[], str]] = {
        "verdict": lambda: _verdict(verdict_of(known)),
        "figures": lambda: _glance(list(_figures(seen, status, known))),
        "phases": lambda: _phases(seen, status),
        "fleet": lambda: _html(_fleet(status.fleet)),
        "work": lambda: _drawn(seen, kept),
        "findings": lambda: _html(_findings(seen)),
        "quarantine": lambda: _html(_quarantine(seen, known)),
        "following": lambda: _html(_following(status.following, is_running=seen.is_running)),
        "cutover": lambda: _html(_cutover(seen)),
        "ledger": lambda: _html(*ledger(known)),
    }
    return {name: _as_far_as_it_goes(name, makes[name]) for name in PARTS}


def _as_far_as_it_goes(name: str, make: Callable[[], str]) -> str:
    """A part; where a file says what no version of the tool writes, that it cannot be shown."""
    try:
        return make()
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        words = "this part cannot be shown: a file is damaged, or of another version of the tool"
        parts: list[Part] = [State(BAD, Markup(words)), Text(type(error).__name__, dim=True)]
        return _html(Section(name, name.capitalize(), parts))


def _glance(figures: list[Figure]) -> str:
    return render("dashboard_figures.html", figures=figures)


def _drawn(seen: Seen, kept: Kept) -> str:
    if not seen.is_running or not 0 <= seen.now - kept.drawn_at < _SLOWLY:
        kept.drawn, kept.drawn_at = _html(_work(seen)), seen.now
    return kept.drawn


def choices_of(seen: Mapping[str, Seen], choice: str, shown: Seen | None, root: Path) -> str:
    """The directory that is `shown`, and what can be chosen, as HTML."""
    choices = [(LATEST, "Latest", "/")]
    choices += [
        (each.name, each.title, f"/?{urlencode({'of': each.name})}") for each in seen.values()
    ]
    directory = shown.files.root if shown is not None else root
    return render(
        "dashboard_choices.html", directory=str(directory), choices=choices, choice=choice
    )


def gone() -> dict[str, str]:
    """The same of a directory that is no more."""
    words = Markup("What was shown here has been deleted")
    return dict.fromkeys(PARTS, "") | {"verdict": _verdict(Verdict(CALM, "No more", words))}


def words_of(seen: Seen) -> str:
    """How it stands, in a word and a sentence, for who hears it and for a title."""
    if seen.status is None:
        return "It cannot be told how this run stands"
    return f"{seen.status.state.capitalize()}: {seen.status.sentence or seen.status.words}"


def _in_trouble(seen: Seen) -> Verdict:
    assert seen.trouble is not None
    return Verdict(
        BAD,
        "It cannot be told how this run stands",
        seen.trouble.message,
        [f"What to do: {seen.trouble.remedy}", Markup("This page goes on by itself after that.")],
    )


def _documents(seen: Seen, status: Status, kept: Kept, config: Config | None) -> Documents:
    """What the sections of report.html are made of; while a run is at work there are no reports of
    it yet, and those of an earlier one would be taken for them."""
    files = seen.files
    signs = (seen.is_running, seen.watched.sign_of_manifest, _sign_of_reports(seen))
    if signs != kept.signs:
        kept.troubles, kept.signs = [], signs
        kept.manifest = manifest_of(files, kept.troubles)
        kept.reports = {} if seen.is_running else reports_of(files, kept.troubles)
    return Documents(
        files,
        status,
        kept.manifest,
        kept.reports,
        {},
        seen.watched.history,
        phase_figures(seen.watched.watcher.picture),
        config,
        list(kept.troubles),
    )


def _sign_of_reports(seen: Seen) -> object:
    with suppress(OSError):
        return seen.files.reports.stat().st_mtime_ns
    return None


def _verdict(verdict: Verdict) -> str:
    return render("dashboard_verdict.html", verdict=verdict)


def _html(section: Section | None = None) -> str:
    return "" if section is None else render("dashboard_section.html", section=section)


# -- figures ----------------------------------------------------------------------------------


def _figures(seen: Seen, status: Status, known: Documents) -> Iterator[Figure]:
    if not seen.is_running:
        yield from figures_of(known)
        return
    at_work = [each for each in status.steps if each.state == "running"]
    step = next((each for each in reversed(at_work) if not each.step), None)
    step = step or (at_work[-1] if at_work else None)
    if step is not None:
        yield Figure("At work on", plain(step_name(step)), _in_per_cent(step))
        left = step.seconds_left
        if left is not None:
            yield Figure("Time left", plain(lasting(left)), "of this step")
        yield Figure("Throughput", plain(f"{counted_in(step.per_second, step.unit)}/s"), "of late")
    if status.seconds is not None:
        yield Figure("Time", plain(lasting(status.seconds)), "since the command began")
    refused = sum(each.errors for each in status.steps)
    yield Figure("Refused", refused, "records, by all steps")
    waited = sum(each.seconds for step in status.steps for each in step.throttled)
    yield Figure("Throttled", plain(lasting(waited)), "all senders together")
    if status.fleet is not None and status.fleet.is_there:
        machines = f"on {counted(status.fleet.machines, 'machine')}"
        yield Figure("Fleet", plain(counted(status.fleet.cores, "core")), machines)
    if status.following is not None:
        yield Figure("Lag", plain(lasting(status.following.lag_seconds)), "behind S9")


def _in_per_cent(step: StepStatus) -> str:
    if not step.total or step.done > step.total:
        return counted_in(step.done, step.unit) if step.done else ""
    return f"{100 * step.done // step.total}%, {step.done:,} of {step.total:,}"


# -- phases, work -----------------------------------------------------------------------------


def _phases(seen: Seen, status: Status) -> str:
    steps = shown_steps(status)
    phases = shown_phases(status, seen.watched.watcher.picture.phases)
    if not steps and not phases:
        return ""
    return render(
        "dashboard_phases.html",
        phases=phases,
        steps=steps,
        waits=[f"{each}" for each in status.not_ready],
    )


def _work(seen: Seen) -> Section | None:
    history = seen.watched.history
    if not history.spans:
        return None
    curve, line = curve_of(history), time_line_of(history)
    parts: list[Part] = [
        *([curve] if curve else ()),
        *([Folded("Time line of the steps", [line])] if line else ()),
        *throttled_of(history),
        *retried_of(history),
        *commands_of(history),
    ]
    note = (
        "By the clock of the events. Between two commands nobody was at work: that time is left "
        "out."
    )
    return Section("work", "Throughput and throttling", parts, note)


def _fleet(how: FleetStatus | None) -> Section | None:
    """The machines that share the work; nothing where this one does all of it."""
    if how is None:
        return None
    machines = counted(how.machines, "machine")
    words = f"{counted(how.tasks, 'task')} at work on {machines}" if how.is_there else "Let go"
    pairs: list[tuple[str, Cell]] = [
        ("Engine", printable(how.software)),
        ("Master", _code(how.master)),
        ("Machines", how.machines),
        ("Executors", how.executors),
        ("Cores", how.cores),
    ]
    rows = [Row([each.phase.capitalize(), each.ended, each.lost]) for each in how.phases]
    columns = [Column("Phase", WIDE), Column("Tasks done", NUMBER), Column("Lost", NUMBER)]
    parts: list[Part] = [
        State(BUSY if how.is_there else CALM, plain(words)),
        Pairs(pairs),
        Table("Tasks by phase", columns, rows),
    ]
    note = "A task that was lost, for itself or with its machine, is done again."
    return Section("fleet", "Fleet", parts, note)


# -- findings, quarantine ---------------------------------------------------------------------


def _findings(seen: Seen) -> Section | None:
    found = seen.watched.discoveries
    if not found.counts:
        return None
    rows = [
        Row([_code(rule), phase.capitalize(), entity, severity_of(severity), times])
        for (phase, entity, rule, severity), times in found.by_rule().most_common()
    ]
    columns = [
        Column("Rule", KEY),
        Column("Found by"),
        Column("In"),
        Column("Severity"),
        Column("Times", NUMBER),
    ]
    latest = [Row(_latest(told.at, told.event)) for told in found.latest]
    of_latest = [
        Column("When"),
        Column("Rule", KEY),
        Column("In"),
        Column("Severity"),
        Column("Times", NUMBER),
        Column("One of them", KEY),
    ]
    times = sum(found.counts.values())
    parts: list[Part] = [
        Text(plain(f"{counted(times, 'thing was', 'things were')} found so far.")),
        Table("What was found, by rule", columns, rows),
        Table("What was found last", of_latest, latest),
    ]
    note = "As the phases find it. Every finding with its cause is in the reports."
    return Section("findings", "Findings", parts, note)


def _latest(at: Any, event: Any) -> list[Cell]:
    assert isinstance(event, Found)
    return [
        when(moment_text(at)),
        _code(event.rule),
        event.step.entity,
        severity_of(event.severity),
        event.times,
        event.key or None,
    ]


def _code(text: str) -> Markup:
    return Markup('<code class="told">{}</code>').format(printable(text))


def _quarantine(seen: Seen, known: Documents) -> Section | None:
    rows = []
    for name in ENTITY_NAMES:
        path = seen.files.quarantine(name)
        sealed = path.with_name(path.name + SUFFIX)
        counts = stations_of(known.manifest, name).quarantined if known.manifest else None
        size = _size_of(path)
        if size is None and not sealed.exists() and counts is None:
            continue
        rows.append(Row([plain(name.capitalize()), counts, _where(seen, name, size, sealed)]))
    if not rows:
        return None
    columns = [Column("Refused records"), Column("In quarantine", NUMBER), Column("To look at")]
    parts: list[Part] = [Table("Records that were refused", columns, rows)]
    note = "Refused records are kept whole, with every reason. What may be personal is masked here."
    return Section("quarantine", "Quarantine", parts, note)


def _size_of(path: Path) -> int | None:
    with suppress(OSError):
        return int(path.stat().st_size)
    return None


def _where(seen: Seen, entity: str, size: int | None, sealed: Path) -> Cell:
    if size:
        link = '<a href="/quarantine/{}?of={}">Look at the {}</a>'
        return Markup(link).format(entity, seen.name, entity)
    return Markup("encrypted") if sealed.exists() else None


# -- following, cut-over ----------------------------------------------------------------------


def _following(how: FollowingStatus | None, *, is_running: bool) -> Section | None:
    if how is None:
        return None
    kind, words = GOOD, Markup("The target follows S9")
    if how.trouble:
        kind, words = BAD, plain(f"There is trouble with S9's log: {printable(how.trouble)}")
    elif not is_running:
        kind, words = CALM, Markup("S9 was followed; no command is at work at this moment")
    elif how.in_step_as_of is None:
        kind, words = CARE, Markup("Everything has still to be compared once")
    rate = f"{counted(how.records, 'record')} ({how.records_per_minute:,.1f} a minute)"
    pairs: list[tuple[str, Cell]] = [
        ("Lag", plain(f"{lasting(how.lag_seconds)}, from S9's commit to the target")),
        ("In step as of", when(how.in_step_as_of)),
        ("Waiting since", when(how.waiting_since)),
        ("Followed since", when(how.since)),
        ("Passes", how.passes),
        ("Written or taken away", plain(rate)),
        ("Log that S9 keeps for it", plain(f"{how.retained_bytes / 1_000_000:,.1f} MB")),
        ("Looked at", when(how.seen_at)),
    ]
    return Section("following", "Following S9", [State(kind, words), Pairs(pairs)])


def _cutover(seen: Seen) -> Section | None:
    try:
        document = read_cutover(seen.files)
    except ArtifactError as error:
        return Section("cutover", "Cut-over", [State(BAD, error.message), Text(error.remedy)])
    if document is None:
        return None
    steps = document["steps"]
    due = next((each for each in STEPS if each not in steps), None)
    rows = [Row(_gate(each, steps.get(each), is_next=each == due)) for each in STEPS]
    columns = [Column("Gate", WIDE), Column("State"), Column("Since"), Column("Took", NUMBER)]
    owner = document["owner"]
    at = document["switchedAt"]
    told = f"{owner[:1].upper()}{owner[1:]} owns the data" + (f" since {at}" if at else "")
    parts: list[Part] = [
        State(GOOD if due is None else CARE, plain(printable(told))),
        Table("Gates of the cut-over", columns, rows),
    ]
    if due is not None and owner == S9:
        parts.append(Text(_next(for_real(CUTOVER))))
    history = [
        Row([when(str(each["at"])), str(each["what"]), str(each["after"]) or None])
        for each in document["history"]
    ]
    given_up = [Column("When"), Column("What", WIDE), Column("After the step")]
    parts.append(Table("What was given up or taken back", given_up, history))
    return Section("cutover", "Cut-over", parts)


def _next(command: str) -> Markup:
    return Markup('To go on: <code class="told">{}</code>').format(command)


def _gate(step: str, entry: Any, *, is_next: bool) -> list[Cell]:
    name = plain(GATES[step])
    if entry is None:
        words = "next" if is_next else "to come"
        kind = "care" if is_next else "calm"
        return [name, Markup('<span class="state {}">{}</span>').format(kind, words), None, None]
    passed = Markup('<span class="state good">passed</span>')
    return [name, passed, when(str(entry["at"])), plain(lasting(float(entry["seconds"])))]
