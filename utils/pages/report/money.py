"""Reconciliation in money: what S9 adds up to, what the target adds up to, and all between."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from markupsafe import Markup

from utils.pages.parts import (
    BAD,
    GOOD,
    NUMBER,
    OFF,
    SUM,
    WIDE,
    Cell,
    Column,
    Folded,
    Heading,
    Listed,
    Part,
    Row,
    Section,
    State,
    Table,
    Text,
)
from utils.pages.report.documents import Documents
from utils.wording.figures import counted

_BETWEEN = (
    ("quarantine", "In quarantine"),
    ("computed", "Computed"),
    ("refused", "Refused"),
    ("kept", "Kept"),
    ("application", "Application"),
    ("since", "Since"),
)
_NAMES = {
    "sales": "Sales",
    "lines": "Lines",
    "subtotal": "Subtotal",
    "taxAmount": "Tax",
    "total": "Total",
}
_FOLDED = ("month", "buyer", "producer")
_MOST = 250  # rows of one table: all of them are in the table for the accountant

Figures = Sequence[Mapping[str, str]]


def money(known: Documents) -> Iterator[Section]:
    """The reconciliation, none where there was none."""
    report = known.report("reconciliation")
    if not report:
        return
    parts: list[Part] = []
    for entity, of in report["entities"].items():
        if len(report["entities"]) > 1:
            parts.append(Heading(entity.capitalize()))
        parts += _entity(of)
    table = report["table"]
    parts.append(
        Text(f"Every row, for a spreadsheet: {table['file']} (SHA-256 {table['sha256']}).", True)
    )
    yield Section(
        "money",
        "Reconciliation in money",
        parts,
        "S9 has added up its own amounts, by SQL in the snapshot; the target was scanned. In exact "
        "decimals; amounts of two currencies are never added.",
    )


def _entity(of: Mapping[str, Any]) -> Iterator[Part]:
    differences = of["differences"]
    if of["passed"]:
        rows = counted(of["rows"]["count"], "row")
        yield State(GOOD, f"All {rows} add up, to the last cent")
    else:
        yield State(BAD, f"{counted(differences['count'], 'row')} of the table do not add up")
        yield Listed(of["problems"])
    for total in of["totals"]:
        yield _table(f"All, in {total['currency']}", [("", total["figures"])], by_figure=True)
    if differences["list"]:
        yield _rows("Rows that do not add up", differences["list"], differences["count"])
    rows = of["rows"]["list"]
    for by in dict.fromkeys(each["by"] for each in rows):
        those = [each for each in rows if each["by"] == by]
        if by == "currency":  # which is the totals
            continue
        shown = those[:_MOST]
        part = _rows(f"By {by}", shown, len(those))
        if by in _FOLDED:
            yield Folded(f"By {by}", [part])
        else:
            yield part
    if of["rows"]["truncated"]:
        yield Text("Of many rows the first are here; all of them are in the table.", dim=True)
    moments = ", ".join([of["addedUpAt"], *of["readAgainAt"]])
    yield Text(f"S9 was added up at {moments} (S9's clock).", dim=True)
    files = [f"{each['file']}: SHA-256 {each['sha256']}" for each in of["computedFrom"]]
    yield Folded("What it was computed from", [Listed(files)])


def _columns(used: Sequence[str]) -> list[Column]:
    between = [Column(words, NUMBER) for name, words in _BETWEEN if name in used]
    return [Column("S9", NUMBER), *between, Column("Target", NUMBER), Column("Difference", NUMBER)]


def _used(figures: Figures) -> list[str]:
    """What stands between S9 and the target in any of the figures."""
    return [name for name, _ in _BETWEEN if any(not _is_zero(each[name]) for each in figures)]


def _table(caption: str, of: Sequence[tuple[str, Figures]], *, by_figure: bool) -> Table:
    figures = [each for _, them in of for each in them]
    used = _used(figures)
    rows = [
        Row([_name(each["figure"]), *_cells(each, used)], _kind(each, "total"))
        for each in figures
        if by_figure
    ]
    return Table(caption, [Column("", WIDE), *_columns(used)], rows)


def _rows(caption: str, them: Sequence[Mapping[str, Any]], count: int) -> Table:
    """A row for each value of a dimension: how many sales, and what they add up to; the other
    figures where they make a difference."""
    used = _used([figure for each in them for figure in each["figures"]])
    rows = []
    for each in them:
        for figure in each["figures"]:
            is_off = not _is_zero(figure["difference"])
            if figure["figure"] not in ("sales", "total") and not is_off:
                continue
            name = f"{each['value']}, {each['currency']}, {_name(figure['figure']).lower()}"
            if is_off and each.get("records"):
                name += f" ({_records(each['records'])})"
            rows.append(Row([name, *_cells(figure, used)], OFF if is_off else ""))
    beyond = f" (the first {len(them):,} of {count:,})" if count > len(them) else ""
    return Table(f"{caption}{beyond}", [Column("", WIDE), *_columns(used)], rows)


def _records(records: Any) -> str:
    """Records that make a difference, some of them by name."""
    found = records["list"] if isinstance(records, Mapping) else records
    return ", ".join(map(str, found))


def _cells(figure: Mapping[str, str], used: Sequence[str]) -> list[Cell]:
    names = ["s9", *used, "target", "difference"]
    return [_amount(figure[name]) for name in names]


def _kind(figure: Mapping[str, str], total: str) -> str:
    if not _is_zero(figure["difference"]):
        return OFF
    return SUM if figure["figure"] == total else ""


def _name(figure: str) -> str:
    return _NAMES.get(figure, figure)


def _is_zero(amount: str) -> bool:
    return not amount.strip("-0.")


def _amount(text: str) -> Markup:
    """A decimal as a text, with commas; not one of its digits is touched."""
    sign, digits = ("−", text[1:]) if text.startswith("-") else ("", text)
    whole, dot, rest = digits.partition(".")
    if not whole.isdigit():
        return Markup("{}").format(text)
    return Markup("{}").format(f"{sign}{int(whole):,}{dot}{rest}")
