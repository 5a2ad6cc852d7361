"""A plan on the screen: what plan.json says, in the order in which a reader needs it, and the last
line (utils/cli/closings.py has its words)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from utils.cli.closings import said
from utils.cli.text_table import table
from utils.error_handler import ExitCode
from utils.wording import terminal
from utils.wording.figures import counted
from utils.wording.invocation import again, for_real

Document = Mapping[str, Any]
_DONE = (ExitCode.DONE, ExitCode.QUARANTINED)
_TABLES = ("in the tables", "now", "new", "there", "replaced", "kept", "conflicts", "only there")


def plan_text(document: Document) -> str:
    """The sections of a plan that there are, one below the other."""
    parts = [part for show in _SECTIONS for part in show(document)]
    return "\n\n".join(parts)


def last_line(document: Document, reasons: str = "") -> str:
    """What `--full` would come to, and what to type next; `reasons` are why not everything of S9
    would be in the tables as it is in S9."""
    verdict = document["verdict"]
    values = {"code": verdict["exitCode"], "meaning": verdict["meaning"]}
    sample = _sample(document)
    if verdict["exitCode"] in _DONE:
        return said("planned", **values, sample=sample, reasons=reasons, full=for_real("--full"))
    return said("planned-obstacles", **values, sample=sample, again=again())


def _sample(document: Document) -> str:
    read = [f"{limit:,} {name}" for name, limit in document["limit"].items()]
    return f" as far as the first {' and '.join(read)} show" if read else ""


def _tables(document: Document) -> Iterator[str]:
    """What the tables hold, and what the load would do with it, in items."""
    tables: Mapping[str, Mapping[str, Any]] = document.get("tables", {})
    if not tables:
        return
    rows = [
        [
            name.capitalize(),
            "to be created" if not each["exists"] else each["now"],
            *(each[key] for key in ("new", "alreadyThere", "replaced", "kept", "conflicts")),
            sum(each["onlyInTarget"].get(key, 0) for key in ("recordItems", "lines")),
        ]
        for name, each in tables.items()
    ]
    yield table(_TABLES, rows)


def _to_do(document: Document) -> Iterator[str]:
    """What to do, numbered, causes before consequences."""
    due: Sequence[Mapping[str, Any]] = document["toDo"]
    if not due:
        return
    lines = ["What to do, in this order:"]
    for number, each in enumerate(due, 1):
        code = each["exitCode"]
        ends = "" if code is None else f" [exit code {code}]"
        lines.append(f"{number:>3}. {terminal.indented(each['what'])}{ends}")
        lines.append(f"     {terminal.indented(each['remedy'])}")
    yield "\n".join(lines)


def _verification(document: Document) -> Iterator[str]:
    found = document.get("verification")
    if not found or found["passed"]:
        return
    problems = found["problems"]
    told = "\n".join(f"  - {each}" for each in problems[:10])
    yield f"Verify would find {counted(len(problems), 'difference')}:\n{told}"


_SECTIONS: tuple[Callable[[Document], Iterator[str]], ...] = (_tables, _verification, _to_do)
