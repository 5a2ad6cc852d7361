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
_COUNTS = ("sales", "lines")
_TOTAL = "total"
_PARTIES = ("buyer", "producer")
_FOLDED = ("month", *_PARTIES)
_MOST = 120  # rows of one table: all of them are in the table for the accountant

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
        yield _table(f"All, in {total['currency']}", total["figures"])
    if differences["list"]:
        yield _rows("Rows that do not add up", differences["list"], differences["count"])
    rows = of["rows"]["list"]
    for by in dict.fromkeys(each["by"] for each in rows):
        those = [each for each in rows if each["by"] == by]
        if by == "currency":  # which is the totals
            continue
        shown = those[: _MOST if by in _PARTIES else len(those)]
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


def _table(caption: str, figures: Figures) -> Table:
    used = _used(figures)
    rows = [Row([_name(each["figure"]), *_cells(each, used)], _kind(each)) for each in figures]
    return Table(caption, [Column("Figure", WIDE), *_columns(used)], rows)


def _rows(caption: str, them: Sequence[Mapping[str, Any]], count: int) -> Table:
    """A row for each value of a dimension: how many sales, and what they add up to; further rows
    for other figures where these make a difference."""
    totals = [figure for each in them for figure in each["figures"] if figure["figure"] == _TOTAL]
    used = _used(totals)
    rows: list[Row] = []
    for each in them:
        of = {figure["figure"]: figure for figure in each["figures"]}
        if _TOTAL not in of:
            continue
        name, head = f"{_value(each)}, {each['currency']}", next(iter(of.values()))
        counts = [_amount(head["s9"]), _amount(head["target"])]
        off = [figure for figure in of.values() if not _is_zero(figure["difference"])]
        rows.append(Row([name, *counts, *_cells(of[_TOTAL], used)], OFF if off else ""))
        for figure in off:
            words = f"{_name(figure['figure'])}: {_records(each['records'])}"
            others = [*("" for _ in counts), *_cells(figure, used)]
            rows.append(Row([words, *others], OFF))
    beyond = f" (the first {len(them):,} of {count:,})" if count > len(them) else ""
    columns = [
        Column("Value", WIDE),
        Column("Sales in S9", NUMBER),
        Column("in the target", NUMBER),
        Column("Total in S9", NUMBER),
        *_columns(used)[1:-2],
        Column("Total in the target", NUMBER),
        Column("Difference", NUMBER),
    ]
    return Table(f"{caption}{beyond}", columns, rows)


def _value(each: Mapping[str, Any]) -> str:
    """The value of a dimension: a party by its key in S9, where it has one."""
    key = each["key"]
    return f"{each['by']} {key}" if key and key != "None" else str(each["value"])


def _records(records: Mapping[str, Any]) -> str:
    """Records that make a difference, some of them by name."""
    more = f" and {records['count'] - len(records['list']):,} more" if records["truncated"] else ""
    return ", ".join(records["list"]) + more


def _cells(figure: Mapping[str, str], used: Sequence[str]) -> list[Cell]:
    names = ["s9", *used, "target", "difference"]
    places = 0 if figure["figure"] in _COUNTS else 2
    return [_amount(figure[name], places) for name in names]


def _kind(figure: Mapping[str, str]) -> str:
    if not _is_zero(figure["difference"]):
        return OFF
    return SUM if figure["figure"] == _TOTAL else ""


def _name(figure: str) -> str:
    return _NAMES.get(figure, figure)


def _is_zero(amount: str) -> bool:
    return not amount.strip("-0.")


def _amount(text: str, places: int = 0) -> Markup:
    """A decimal as a text, with commas and at least so many places; none of its digits is
    touched."""
    sign, digits = ("−", text[1:]) if text.startswith("-") else ("", text)
    whole, _, rest = digits.partition(".")
    if not (whole + rest).isdecimal():
        return Markup("{}").format(text)
    rest = rest.ljust(places, "0")
    return Markup("{}").format(f"{sign}{int(whole):,}{'.' if rest else ''}{rest}")
