"""Clean parties are recognised quickly, and none that the slower way has something to say of."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.records.items import as_written, party
from utils.entities import shape_of
from validate.fast.forms import party_form
from validate.fast.parties import party_reader
from validate.gate.record_checks import PARTY_CHECKS, Policy, check_chunk, item_judge
from validate.rules.catalogue import Note
from validate.rules.record_facts import Facts
from validate.rules.schema_check import decider

KINDS = {"buyer": "buyers", "producer": "producers"}
Item = dict[str, Any]


def judged(kind: str, lines: list[bytes]) -> tuple[Facts, list[Note]]:
    notes: list[Note] = []
    return item_judge(shape_of(KINDS[kind]), PARTY_CHECKS[kind])(lines, notes, True), notes


def quickly(kind: str, lines: list[bytes]) -> Facts | None:
    """The facts of a party, if it is one that the quick way knows."""
    if party_reader(kind)(lines) is None:
        return None
    return check_chunk(lines, KINDS[kind], Policy()).facts[0]


FULL = {
    **{"subName": "c/o Bianchi", "sdi": "ABC1234", "pec": "rossi@pec.it", "poBox": "12"},
    **{"phone": "051 555", "fax": "051 556", "website": "https://www.rossi.it", "notes": "Società"},
    **{"mainContact": "Anna", "bankDetails": "IT60X0542811101000000123456"},
    **{"preferredLanguage": "it", "defaultOperator": "mrossi"},
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("number", ["00743110157", "07643520567"])
def test_a_clean_party_is_recognised_with_the_facts_that_judging_it_gives(
    kind: str, number: str
) -> None:
    for changes in ({}, FULL, {"vatNumber": f"IT{number}", "fiscalCode": number}, {"code": None}):
        lines = as_written([party(kind, 7, **changes)])
        assert quickly(kind, lines) == judged(kind, lines)[0]
        assert judged(kind, lines)[1] == []


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=40, suppress_health_check=list(HealthCheck), deadline=None)
@given(data=st.data())
def test_what_has_the_form_of_a_party_conforms_to_the_schema(
    kind: str, data: st.DataObject
) -> None:
    text = data.draw(st.from_regex(party_form(kind).pattern, fullmatch=True))
    clean = bytes(byte if byte < 0x80 else ord("x") for byte in text)  # UTF-8 is another question
    assert decider(kind)(orjson.loads(clean)["Item"])


values = st.sampled_from(
    [
        *({"S": text} for text in ("", "x", "IT", "DE", "ZZ", "XXX", "EUR", "active", "inactive")),
        *({"S": text} for text in ("STATUS#active", "COUNTRY#DE", "METADATA", "7", "2024-02-30")),
        *({"S": text} for text in ("Ã¨", 'a"b', "a\\b", "a\nb", "\x7f", "x" * 501, "è" * 400)),
        *({"S": text} for text in ("00743110157", "IT00743110157", "00743110158")),
        *({"S": text} for text in ("IT60X0542811101000000123456", "IT60X0542811101000000123457")),
        *({"S": text} for text in ("RCCMNL83S18D969H", "PC", "Piacenza", "ABC1234")),
        *({"S": text} for text in ("a@b.it", "a@b.it, c@d.it", "nobody")),
        *({"N": text} for text in ("0", "-0", "1", "1.0", "100", "100.5", "0.125")),
        *({"BOOL": True}, {"NULL": True}, {}, None),
    ]
)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_what_is_recognised_as_clean_is_clean(kind: str, data: st.DataObject) -> None:
    item: Item = party(kind, 7, **(FULL if data.draw(st.booleans()) else {}))
    for _ in range(data.draw(st.integers(0, 3))):
        name = data.draw(st.sampled_from([*item, "currency", "totalRevenue", "revenuePercentage"]))
        if data.draw(st.integers(0, 5)):
            item[name] = data.draw(values)
        else:
            item.pop(name, None)
    lines = as_written([item])
    if data.draw(st.integers(0, 9)) == 0:
        lines *= 2
    facts = quickly(kind, lines)
    if facts is not None:
        assert (facts, []) == judged(kind, lines)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "spoil",
    [
        lambda lines: [lines[0].replace(b"FERRAMENTA", b"FERRAMENT\xe0")],
        lambda lines: [lines[0].replace(b"FERRAMENTA", "Societ\u00c3\u00a0".encode())],
        lambda lines: [b" " + lines[0]],
        lambda lines: [lines[0] + b"x"],
        lambda lines: [lines[0], lines[0]],
        lambda lines: [lines[0].replace(b"FERRAMENTA", b"FERRARI", 1)],
    ],
)
def test_what_is_not_in_the_usual_form_is_left_to_the_slower_way(kind: str, spoil: Any) -> None:
    lines = as_written([party(kind, 7)])
    assert party_reader(kind)(lines) is not None
    assert party_reader(kind)(spoil(lines)) is None
