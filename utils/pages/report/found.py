"""What the gate has found, by rule, with examples and causes; and what is in quarantine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

import orjson
from markupsafe import Markup

from utils.entities import ENTITY_NAMES
from utils.error_handler import StorageError
from utils.files.storage import require_plain
from utils.pages.parts import (
    CARE,
    GOOD,
    KEY,
    NUMBER,
    SUM,
    WIDE,
    Cell,
    Column,
    Folded,
    Part,
    Row,
    Section,
    State,
    Table,
    Text,
)
from utils.pages.rendering import plain, severity_of, told
from utils.pages.report.documents import Documents
from utils.run.standing import stations_of
from utils.wording.figures import counted

_EXAMPLES = 3  # of a rule, for each entity
_LOOKED_AT = 20_000  # findings among which these are looked for
_MOST_RULES = 400


def findings(known: Documents) -> Iterator[Section]:
    """What was found, none where nobody has looked."""
    report = known.report("findings")
    if not report:
        return
    rules = report["rules"]
    if not rules:
        yield Section("findings", "Findings", [State(GOOD, "Nothing was found")])
        return
    meanings: Mapping[str, str] = known.report("validation").get("meanings", {})
    counts = f"{counted(report['errors'], 'error')}, {counted(report['warnings'], 'warning')}"
    columns = [
        Column("Rule", WIDE),
        Column("Of"),
        Column("Severity"),
        Column("Findings", NUMBER),
        Column("Records", NUMBER),
    ]
    rows = [
        Row(
            [
                _rule(each, meanings),
                each["entity"],
                severity_of(each["severity"]),
                each["count"],
                each["records"],
            ]
        )
        for each in rules[:_MOST_RULES]
    ]
    parts: list[Part] = [Text(f"{counts}. Causes come before what follows from them.")]
    parts.append(Table("Findings by rule", columns, rows))
    parts.append(Folded("Examples, with their causes", list(_examples(known, rules))))
    where = f"Every finding is in {report['allFindings']}, for a spreadsheet."
    parts.append(Text(where, dim=True))
    yield Section(
        "findings",
        "Findings",
        parts,
        "What is to be corrected in S9, and where. Values that may be personal are masked.",
    )


def _rule(each: Mapping[str, Any], meanings: Mapping[str, str]) -> Markup:
    meaning = meanings.get(each["rule"]) or f"for example: {each['example']['message']}"
    text = Markup('{}<br><code class="dim">{}</code>').format(told(meaning), each["rule"])
    return text + Markup(" follows from another") if each["consequence"] else text


def _examples(known: Documents, rules: list[Mapping[str, Any]]) -> Iterator[Part]:
    found: dict[tuple[str, str], list[Mapping[str, Any]]] = {
        (each["entity"], each["rule"]): [each["example"]] for each in rules[:_MOST_RULES]
    }
    wanted = {
        (each["entity"], each["rule"]): min(each["count"], _EXAMPLES)
        for each in rules[:_MOST_RULES]
    }
    for finding in _some_findings(known):
        key = (str(finding.get("entity")), str(finding.get("rule")))
        examples = found.get(key)
        if examples is None or len(examples) >= wanted[key]:
            continue
        if all(_place(each) != _place(finding) for each in examples):
            examples.append(finding)
    rows = [Row(_example(each)) for examples in found.values() for each in examples]
    columns = [
        Column("Record", KEY),
        Column("Table and column", KEY),
        Column("Value", KEY),
        Column("What is wrong", WIDE),
        Column("Because", WIDE),
    ]
    yield Table("Examples", columns, rows)


def _place(finding: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(finding.get(name) for name in ("legacyId", "field", "key", "message"))


def _example(finding: Mapping[str, Any]) -> list[Cell]:
    place = ".".join(filter(None, [finding["table"], finding["column"]]))
    value = finding["value"]
    return [
        f"{finding['entity']} {finding['legacyId']}",
        f"{place} of {finding['key']}" if place else None,
        None if value is None else str(value),
        finding["message"],
        _cause(finding.get("cause")),
    ]


def _cause(cause: Mapping[str, Any] | None) -> str | None:
    if not cause:
        return None
    who = f"{cause['entity']} {cause['key']}"
    reason = f" ({cause['reason']})" if cause.get("reason") else ""
    return {
        "refused": f"{who} is refused{reason}",
        "not-selected": f"{who} is not selected{reason}",
        "absent": f"S9 has no {who}",
        "copied": f"the value is that of {who}",
    }.get(cause["why"], f"{cause['why']}: {who}{reason}")


def _some_findings(known: Documents) -> Iterator[Mapping[str, Any]]:
    """The first findings of the file that has all of them."""
    path = known.files.validation_findings
    with suppress(OSError, StorageError):
        require_plain(path)
        with path.open("rb") as lines:
            for place, line in enumerate(lines):
                if place >= _LOOKED_AT:
                    return
                with suppress(orjson.JSONDecodeError):
                    finding = orjson.loads(line)
                    if isinstance(finding, dict):
                        yield finding


def quarantine(known: Documents) -> Iterator[Section]:
    """What is in quarantine, by entity and by who has refused it."""
    manifest, validation = known.manifest, known.report("validation")
    if manifest is None:
        return
    stations = {name: stations_of(manifest, name) for name in ENTITY_NAMES}
    if all(each.quarantined is None for each in stations.values()):
        return
    total = sum(each.quarantined or 0 for each in stations.values())
    if not total:
        yield Section("quarantine", "Quarantine", [State(GOOD, "No record was refused")])
        return
    counts = known.report("verification").get("counts", {})
    rows = []
    for name, each in stations.items():
        refused = validation.get("entities", {}).get(name, {}).get("quarantined", {})
        late = (counts.get(name, {}).get("refused") or {}).get("records")
        rows.append(
            Row(
                [
                    plain(name.capitalize()),
                    refused.get("transform"),
                    refused.get("validate"),
                    late,
                    each.quarantined,
                ]
            )
        )
    rows.append(Row([Markup("All"), None, None, None, total], SUM))
    columns = [
        Column("Refused records"),
        Column("by transform", NUMBER),
        Column("by the gate", NUMBER),
        Column("by DynamoDB", NUMBER),
        Column("In quarantine", NUMBER),
    ]
    them = counted(total, "record is", "records are")
    parts: list[Part] = [
        State(CARE, f"{them} in quarantine, whole, with every reason"),
        Table("Who has refused them", columns, rows),
    ]
    if validation.get("passed") is False:
        parts.append(State("bad", "The gate did not let the load begin"))
    text = "They are in {}: correct S9 and try them again, or leave them out."
    parts.append(Text(text.format(known.files.root / "quarantine"), dim=True))
    yield Section("quarantine", "Quarantine", parts)
