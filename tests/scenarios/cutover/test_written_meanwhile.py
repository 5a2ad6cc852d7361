"""Something has written into the tables after they were verified: that is not switched to."""

from __future__ import annotations

import orjson
import pytest

from tests.conftest import S9Database
from tests.support.application.application import Application
from tests.support.faults.sabotage import SabotagedOperator
from tests.support.operators.operator import Operator, insert, line, sale

STOPPED = ("cutover", "--s9-is-stopped")
REPAIR = ("--phase", "verify", "--from-source", "--repair")


def steps(operator: Operator) -> list[str]:
    """The steps that are done."""
    return list(orjson.loads((operator.data / "cutover.json").read_bytes())["steps"])


@pytest.fixture
def certified(migrated: Operator, s9: S9Database) -> SabotagedOperator:
    """An operator who may switch; the last pass has written a sale."""
    insert(s9, "msg", sale(12, 1, 3))
    insert(s9, "msg_line", line(6, 12))
    operator = SabotagedOperator.like(migrated)
    operator.run(*STOPPED).ended(0)
    return operator


def assert_is_not_switched(operator: Operator) -> None:
    """Neither to what was verified before, nor to what is there now."""
    assert not (operator.data / "reports" / "cutover_report.json").exists()
    operator.run("cutover", "--switched").failed(2, "nothing is certified yet", "S9 owns the data")
    assert "verified" not in steps(operator)


def test_a_backup_was_restored(certified: SabotagedOperator) -> None:
    [backup] = [each for each in (certified.data / "backups").iterdir() if "Sales" in each.name]
    certified.run("restore", backup.name, "--yes").ended(0)
    assert_is_not_switched(certified)
    assert "nobody has signed that: sales" in certified.run("cutover").ended(4).last_line
    certified.run("sync").ended(0)
    certified.run(*STOPPED).ended(0)
    certified.run("cutover", "--switched").ended(0)


def test_a_rollback_was_killed_midway(certified: SabotagedOperator) -> None:
    there = {"phase": "rollback", "entity": "sales"}
    certified.killed("rollback", "--yes", **there, what="after request", after=1)
    for words in (("cutover",), ("cutover", "--switched")):
        refused = certified.run(*words).failed(2, "is being undone, and that was cut short")
        assert "migrate.py rollback" in refused.stderr
    assert_voided(certified)
    certified.run("cutover", "--abort").ended(0)
    certified.run("rollback").ended(0)
    certified.run("cutover").failed(2, "was undone: there is nothing to be cut over")
    certified.run("sync").ended(0)
    certified.run(*STOPPED).ended(0)


def assert_voided(operator: Operator) -> None:
    """What was verified before it has begun is so no more."""
    assert not (operator.data / "reports" / "cutover_report.json").exists()
    assert steps(operator) == ["in-step", "frozen", "caught-up"]


def test_a_repair_and_its_undoing(certified: SabotagedOperator, application: Application) -> None:
    application.delete("sales", certified.items("sales")[1])
    certified.run(*REPAIR).ended(0)
    assert_is_not_switched(certified)
    certified.run("cutover").ended(0)
    certified.run("rollback", "--repair", "--yes").ended(0)
    assert_is_not_switched(certified)
    certified.run("cutover").ended(4)


def test_a_sync(certified: SabotagedOperator) -> None:
    certified.run("sync").ended(0)
    assert_is_not_switched(certified)
    assert "Now stop S9's application" in certified.run("cutover").ended(0).last_line
    certified.run(*STOPPED).ended(0)
