"""report.html and plan.html: one file each, for a manager, an accountant and an operator."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path

from utils.config import Config
from utils.files.artifacts import utc_now
from utils.files.storage import make_directory, write_atomically
from utils.files.workspace import Workspace
from utils.pages.parts import Page, Section
from utils.pages.rendering import render
from utils.pages.report.documents import Documents, documents_of
from utils.pages.report.found import findings, quarantine
from utils.pages.report.kept import kept
from utils.pages.report.ledger import ledger
from utils.pages.report.money import money
from utils.pages.report.origin import configuration, cutover, origin
from utils.pages.report.planned import plan_page
from utils.pages.report.verdict import figures_of, subject, verdict_of
from utils.pages.report.work import plan_against_fact, work

_SECTIONS: tuple[Callable[[Documents], Iterator[Section]], ...] = (
    ledger,
    money,
    cutover,
    work,
    plan_against_fact,
    findings,
    quarantine,
    kept,
    origin,
    configuration,
)


def write_page(root: Path, config: Config | None) -> Path:
    """Make the page of a data directory as it stands at this moment: report.html; plan.html in the
    directory of a rehearsal. `config` is the configuration of who asks, None where it is not known.
    Returns the file. Raises StorageError when it cannot be written."""
    files, known = Workspace(root), documents_of(root, config)
    page, path = page_of(known), files.report_page
    if known.is_rehearsal:
        page, path = plan_page(known), files.plan_page
    make_directory(files.reports)
    write_atomically(path, render("document.html", page=page).encode())
    return path


def page_of(known: Documents) -> Page:
    """The page of a run, of what there is of it."""
    return Page(
        title="Migration from S9 to the Sale Module",
        of=subject(known.manifest),
        verdict=verdict_of(known),
        figures=figures_of(known),
        sections=list(chain.from_iterable(make(known) for make in _SECTIONS)),
        made=utc_now(),
        foot=_foot(known),
    )


def _foot(known: Documents) -> list[str]:
    return [f"Made of the reports in {known.files.reports}, which programs read."]
