"""What is to be done about a record, by what the table holds now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import orjson
import pytest

from load.conflicts.policy import Authors
from load.conflicts.repair_journal import RepairedRecord, RepairStep, digests
from load.repair.mend_record import (
    CHANGED,
    IN_QUARANTINE,
    IN_SOURCE,
    KEPT_BY_LOAD,
    DamagedRecord,
    Mending,
    Rules,
    decide,
)
from load.rollback.undo_repair import decide as decide_undo
from utils.differences import (
    ADDED,
    CHANGED_IN_SOURCE,
    DIFFERENT,
    EXTRA,
    KEPT,
    MISSING,
    NEW_IN_SOURCE,
    REMOVED_IN_SOURCE,
)
from utils.dynamodb.item_content import Item, Moments

PK = "SALE#1"
HEAD, ONE, TWO = "METADATA", "LINE#1", "LINE#2"
Items = Mapping[str, Item]


def item(sk: str, text: str = "as in S9", **more: Any) -> dict[str, Any]:
    return {
        "PK": {"S": PK},
        "SK": {"S": sk},
        "legacyId": {"S": "1"},
        "text": {"S": text},
        "updatedBy": {"S": "migration"},
        **more,
    }


LINES = {sk: item(sk) for sk in (HEAD, ONE)}
SIGNED: dict[str, Any] = {"updatedBy": {"S": "someone"}}


def is_signed(now: Item, ours: Item) -> bool:
    return bool(now["updatedBy"] != ours["updatedBy"])


RULES = Rules(True, True, Authors("migration", frozenset()), is_signed, Moments())


def record(hows: dict[str, str], lines: Items = LINES) -> DamagedRecord:
    texts = [b'{"Item":%b}\n' % orjson.dumps(each) for each in lines.values()]
    return DamagedRecord.of(PK, "1", hows, texts)


def done(mending: Mending) -> dict[str, str]:
    return {step.sk: step.what for step in mending.as_kept.steps}


@pytest.mark.parametrize(
    ("hows", "there", "expected"),
    [
        ({HEAD: MISSING, ONE: MISSING}, {}, {HEAD: "created", ONE: "created"}),
        ({ONE: MISSING}, {HEAD: LINES[HEAD]}, {ONE: "created"}),
        ({ONE: DIFFERENT}, {**LINES, ONE: item(ONE, "damaged")}, {ONE: "replaced"}),
        ({HEAD: DIFFERENT}, {**LINES, HEAD: item(HEAD, "damaged")}, {HEAD: "replaced"}),
        ({TWO: EXTRA}, {**LINES, TWO: item(TWO)}, {TWO: "takenAway"}),
        (
            {ONE: MISSING, TWO: EXTRA},
            {HEAD: LINES[HEAD], TWO: item(TWO)},
            {ONE: "created", TWO: "takenAway"},
        ),
        ({ONE: MISSING}, LINES, {}),  # it has healed
    ],
)
def test_what_is_damaged_is_mended(
    hows: dict[str, str], there: Items, expected: dict[str, str]
) -> None:
    mending = decide(record(hows), there, RULES)
    assert (done(mending), mending.reason) == (expected, "")
    checked = {step.sk for step in mending.checks}
    assert checked == (there.keys() - expected.keys() if expected else set())


@pytest.mark.parametrize(
    ("hows", "there", "changes"),
    [
        ({ONE: DIFFERENT}, {**LINES, ONE: item(ONE, "theirs", **SIGNED)}, {ONE: "changed"}),
        ({ONE: MISSING}, {HEAD: item(HEAD, "theirs", **SIGNED)}, {HEAD: "changed"}),
        ({ONE: MISSING}, {HEAD: item(HEAD, "since")}, {HEAD: "changed"}),
        ({ONE: MISSING}, {HEAD: LINES[HEAD], ONE: item(ONE, "since")}, {ONE: "changed"}),
        ({HEAD: DIFFERENT}, {HEAD: item(HEAD, "damaged")}, {ONE: "deleted"}),
        ({ONE: MISSING}, {HEAD: LINES[HEAD], "NOTE#1": {"PK": {"S": PK}}}, {"NOTE#1": "added"}),
        ({TWO: EXTRA}, {**LINES, TWO: item(TWO, **SIGNED)}, {TWO: "added"}),
        ({TWO: EXTRA}, {**LINES, TWO: item(TWO, deletedAt={"S": "2031"})}, {TWO: "added"}),
        ({ONE: MISSING}, {HEAD: LINES[HEAD], TWO: item(TWO)}, {TWO: "added"}),  # since
    ],
)
def test_where_somebody_has_been_the_whole_record_stays(
    hows: dict[str, str], there: Items, changes: dict[str, str]
) -> None:
    mending = decide(record(hows), there, RULES)
    assert (mending.steps, mending.reason) == ((), CHANGED)
    assert {change.sk: change.what for change in mending.changes} == changes


def test_a_place_in_the_numbering_is_mended_whatever_the_application_has_hung_on_the_sale() -> None:
    damaged = item(HEAD, GSI4PK={"S": "SALE"}, GSI4SK={"S": "2024-05-17"})
    there = {**LINES, HEAD: damaged, "NOTE#1": {"PK": {"S": PK}}, TWO: item(TWO)}
    hows = {HEAD: DIFFERENT, "NOTE#1": ADDED, TWO: EXTRA}
    assert done(decide(record(hows), there, RULES)) == {HEAD: "replaced"}


@pytest.mark.parametrize(
    ("hows", "reason"),
    [
        ({HEAD: NEW_IN_SOURCE, ONE: NEW_IN_SOURCE}, IN_SOURCE),
        ({ONE: REMOVED_IN_SOURCE, HEAD: MISSING}, IN_SOURCE),
        ({TWO: NEW_IN_SOURCE, HEAD: MISSING}, IN_SOURCE),
        ({HEAD: CHANGED_IN_SOURCE, TWO: EXTRA}, IN_SOURCE),
        ({HEAD: KEPT, ONE: MISSING}, KEPT_BY_LOAD),
    ],
)
def test_what_is_a_matter_of_a_load_is_left(hows: dict[str, str], reason: str) -> None:
    assert decide(record(hows), {}, RULES).reason == reason


def test_what_is_damaged_is_written_as_s9_has_it_now() -> None:
    there = {HEAD: item(HEAD, "as loaded")}
    asked = record({HEAD: CHANGED_IN_SOURCE, ONE: MISSING})
    assert done(decide(asked, there, RULES)) == {HEAD: "replaced", ONE: "created"}
    theirs = {HEAD: item(HEAD, "theirs", **SIGNED)}
    assert decide(asked, theirs, RULES).reason == CHANGED


def test_the_time_that_another_migration_gave_is_nobody_s_change() -> None:
    def made(sk: str, time: str, **more: Any) -> dict[str, Any]:
        return item(sk, createdAt={"S": time}, updatedAt={"S": time}, **more)

    asked = record({ONE: MISSING}, {sk: made(sk, "2026") for sk in (HEAD, ONE)})
    known = replace(RULES, own_times=frozenset({"2026"}))
    assert done(decide(asked, {HEAD: made(HEAD, "2025")}, known)) == {ONE: "created"}
    assert decide(asked, {HEAD: made(HEAD, "2025")}, RULES).reason == CHANGED
    theirs = made(HEAD, "2031", **SIGNED)
    assert decide(asked, {HEAD: theirs}, known).reason == CHANGED


def test_a_record_that_is_in_no_source_any_more_is_taken_away_and_not_one_in_quarantine() -> None:
    for how in (EXTRA, REMOVED_IN_SOURCE):
        gone = record(dict.fromkeys(LINES, how), {})
        assert decide(gone, LINES, RULES).takes_record
        assert decide(gone, LINES, replace(RULES, extra=False)).steps == ()
        held = replace(RULES, held=frozenset({"1"}))
        assert decide(gone, LINES, held).reason == IN_QUARANTINE


def test_only_what_is_asked_for_is_done() -> None:
    asked = record({ONE: MISSING, TWO: EXTRA})
    there = {HEAD: LINES[HEAD], TWO: item(TWO)}
    assert done(decide(asked, there, replace(RULES, mend=False))) == {TWO: "takenAway"}
    assert done(decide(asked, there, replace(RULES, extra=False))) == {ONE: "created"}


REPAIRED = RepairedRecord(
    PK,
    "1",
    (RepairStep(ONE, None, LINES[ONE], True), RepairStep(TWO, item(TWO), None, True)),
    digests({HEAD: LINES[HEAD]}),
)


@pytest.mark.parametrize(
    ("there", "back", "changes"),
    [
        (LINES, {ONE: None, TWO: item(TWO)}, {}),
        ({HEAD: LINES[HEAD], TWO: item(TWO)}, {}, {}),  # it is undone already
        ({**LINES, TWO: item(TWO)}, {ONE: None}, {}),  # half of it
        ({**LINES, HEAD: item(HEAD, "since")}, {}, {HEAD: "changed"}),
        ({**LINES, ONE: item(ONE, "since")}, {}, {ONE: "changed"}),
        ({ONE: LINES[ONE]}, {}, {HEAD: "deleted"}),
        ({**LINES, "NOTE#1": {"PK": {"S": PK}}}, {}, {"NOTE#1": "added"}),
    ],
)
def test_a_repair_is_undone_where_nobody_has_been_since(
    there: Items, back: dict[str, Item | None], changes: dict[str, str]
) -> None:
    undone = decide_undo(REPAIRED, there)
    assert {step.sk: step.new for step in undone.steps} == back
    assert {change.sk: change.what for change in undone.changes} == changes
