"""The switch, from the first pass to the last word."""

from __future__ import annotations

from typing import Any

import orjson

from tests.conftest import S9Database
from tests.support.application.application import LATER, Application
from tests.support.operators.operator import Operator, insert, line, sale
from tests.support.operators.undone import headers


def state(operator: Operator) -> Any:
    return orjson.loads((operator.data / "cutover.json").read_bytes())


def accepting(operator: Operator, by: str = "Rag. Verdi") -> str:
    """A copy of the list of what is open, accepted."""
    document = orjson.loads((operator.data / "reports" / "cutover_acceptance.json").read_bytes())
    document["acceptedBy"] = by
    for each in document["open"]:
        each["accepted"] = True
    copy = operator.directory / "accepted.json"
    copy.write_bytes(orjson.dumps(document))
    return str(copy)


def test_the_whole_way(migrated: Operator, s9: S9Database, application: Application) -> None:
    insert(s9, "msg", sale(12, 1, 3))
    insert(s9, "msg_line", line(6, 12))
    first, _ = headers(migrated, "sales")
    application.change("sales", first, status={"S": "paid"}, updatedAt={"S": LATER})

    waits = migrated.run("cutover").ended(0)
    assert waits.last_line.endswith("To give up: python migrate.py cutover --abort")
    assert "Now stop S9's application, then: python migrate.py cutover --s9-is-stopped" in (
        waits.last_line
    )
    assert list(state(migrated)["steps"]) == ["in-step"]
    waits = migrated.run("cutover", "--s9-is-stopped").ended(5)
    assert "1 record changed by the application" in waits.last_line
    certified = migrated.run("cutover", "--accept", accepting(migrated)).ended(0)
    assert "Switch the application now, then: python migrate.py cutover --switched" in (
        certified.last_line
    )
    report = migrated.report("cutover")
    assert report["acceptance"]["acceptedBy"] == "Rag. Verdi"
    assert report["nextNumbers"] == {"2024": 13}
    assert report["entities"]["sales"]["extracted"] == 3
    assert [each["step"] for each in report["steps"]] == [
        "in-step",
        "frozen",
        "caught-up",
        "verified",
        "accepted",
    ]
    switched = migrated.run("cutover", "--switched").ended(0)
    assert "the Sale Module owns the data since" in switched.last_line
    assert state(migrated)["owner"] == "the Sale Module"
    assert migrated.run("cutover").ended(0).last_line == switched.last_line
