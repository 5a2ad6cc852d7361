"""What becomes of a record that S9 no longer has, by what the table holds of it."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from load.rollback.undo_record import HEADER, Record, Step
from load.sync.removal_record import (
    CHANGED,
    DELETED,
    IN_USE,
    KEPT,
    POLICY,
    REFUSED,
    SOFT_DELETED,
    Kept,
    Rules,
    decide,
    stay,
)
from tests.support.records.transformed import sale
from utils.dynamodb.item_content import Moments
from utils.files.line_marks import OURS

Items = dict[str, dict[str, Any]]
AT = "2026-05-04T03:02:01.000Z"
SALE = sale(3, lines=2)
WAS: Items = {item["SK"]["S"]: item for item in SALE}
FIRST, SECOND = (item["SK"]["S"] for item in SALE[1:])
DELETING, SOFTLY, KEEPING = (
    Rules(removed, "keep", AT) for removed in ("delete", "softDelete", "keep")
)


def record() -> Record:
    lines = [orjson.dumps({"Item": item}) + b"\n" for item in SALE]
    return Record.of([(1000 * n, line, OURS) for n, line in enumerate(lines)])


def after(there: Items, steps: tuple[Step, ...]) -> Items:
    """What the table holds when the steps are done."""
    found = dict(there)
    for step in steps:
        assert found.pop(step.sk, None) == step.old
        if step.new is not None:
            found[step.sk] = dict(step.new)
    return found


def soft() -> Items:
    return {**WAS, HEADER: {**WAS[HEADER], "deletedAt": {"S": AT}, "updatedAt": {"S": AT}}}


def test_what_is_as_written_goes_header_first() -> None:
    fate = decide(record(), WAS, Kept(), DELETING)
    assert (fate.what, fate.items) == (DELETED, 3)
    assert fate.steps[0].sk == HEADER
    assert sorted(map(str, fate.takes)) == sorted(map(str, SALE))
    assert after(WAS, fate.steps) == {}


@pytest.mark.parametrize("rules", [DELETING, SOFTLY, KEEPING])
def test_what_is_not_there_is_removed_already(rules: Rules) -> None:
    fate = decide(record(), {}, Kept(), rules)
    assert (fate.what, fate.steps, fate.items) == (DELETED, (), 0)
    assert decide(record(), {}, Kept(WAS), rules).items == 3


def test_a_soft_delete_changes_two_attributes_of_the_header() -> None:
    fate = decide(record(), WAS, Kept(), SOFTLY)
    assert fate.what == SOFT_DELETED
    assert {check.sk for check in fate.checks} == {FIRST, SECOND}
    assert after(WAS, fate.steps) == soft()
    again = decide(record(), soft(), Kept(WAS, {HEADER: soft()[HEADER]}), SOFTLY)
    assert (again.what, again.steps) == (SOFT_DELETED, ())


@pytest.mark.parametrize("rules", [DELETING, SOFTLY])
@pytest.mark.parametrize(
    ("there", "what"),
    [
        ({**WAS, HEADER: {**WAS[HEADER], "notes": {"S": "x"}}}, "changed"),
        ({**WAS, FIRST: {**WAS[FIRST], "GSI4PK": {"S": "x"}}}, "changed"),
        ({**WAS, "LINE#theirs": {"PK": WAS[HEADER]["PK"]}}, "added"),
        ({HEADER: WAS[HEADER], FIRST: WAS[FIRST]}, "deleted"),
        ({FIRST: WAS[FIRST], SECOND: WAS[SECOND]}, "deleted"),
    ],
)
def test_what_the_application_has_touched_stays_whole(
    there: Items, what: str, rules: Rules
) -> None:
    fate = decide(record(), there, Kept(), rules)
    assert (fate.what, fate.reason, fate.steps) == (KEPT, CHANGED, ())
    assert [change.what for change in fate.changes] == [what]


def test_the_numbering_and_another_migration_s_time_are_no_change() -> None:
    ours, theirs = WAS[HEADER]["createdAt"]["S"], "2020-01-01T00:00:00.000Z"
    header = {name: value for name, value in WAS[HEADER].items() if not name.startswith("GSI4")}
    header["createdAt"] = {"S": theirs}
    there = {**WAS, HEADER: header}
    rules = Rules("delete", "keep", AT, moments=Moments(ours, (theirs,)))
    assert decide(record(), there, Kept(), rules).what == DELETED
    assert decide(record(), there, Kept(), DELETING).reason == CHANGED


def test_what_was_taken_comes_back_under_what_the_application_has_written_since() -> None:
    late = {"PK": WAS[HEADER]["PK"], "SK": WAS[HEADER]["SK"], "notes": {"S": "late"}}
    there = {HEADER: late, SECOND: WAS[SECOND]}
    fate = decide(record(), there, Kept(WAS), DELETING)
    assert fate.reason == CHANGED
    assert after(there, fate.steps) == {**WAS, HEADER: {**WAS[HEADER], "notes": {"S": "late"}}}


def test_half_taken_away_by_us_it_goes_on() -> None:
    fate = decide(record(), {SECOND: WAS[SECOND]}, Kept(WAS), DELETING)
    assert (fate.what, fate.items) == (DELETED, 3)


def test_an_edit_after_our_soft_delete_brings_the_record_back() -> None:
    edited = {**soft()[HEADER], "notes": {"S": "late"}, "updatedAt": {"S": "2027"}}
    there = {**WAS, HEADER: edited}
    fate = decide(record(), there, Kept(WAS, {HEADER: soft()[HEADER]}), SOFTLY)
    assert fate.reason == CHANGED
    wanted = {name: value for name, value in edited.items() if name != "deletedAt"}
    assert after(there, fate.steps)[HEADER] == wanted


def test_one_that_is_in_use_after_all_is_as_it_was() -> None:
    for there, kept in (({}, Kept(WAS)), (soft(), Kept(WAS, {HEADER: soft()[HEADER]}))):
        fate = stay(record(), there, kept, IN_USE, "SALE#x")
        assert (fate.reason, fate.used_by) == (IN_USE, "SALE#x")
        assert after(there, fate.steps) == WAS


def test_the_settings_keep_records() -> None:
    held = Rules("delete", "keep", AT, held=frozenset({"3"}))
    assert decide(record(), WAS, Kept(), held).reason == REFUSED
    asked = Rules("delete", "remove", AT, held=frozenset({"3"}))
    assert decide(record(), WAS, Kept(), asked).what == DELETED
    fate = decide(record(), WAS, Kept(), KEEPING)
    assert (fate.what, fate.reason, fate.steps) == (KEPT, POLICY, ())
