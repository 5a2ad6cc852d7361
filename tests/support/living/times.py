"""Records that got the times of so many passes of a sync."""

from __future__ import annotations

from tests.conftest import S9Database
from tests.support.application.application import Application
from tests.support.operators.operator import Operator, insert, line, sale, small_trade


def assert_times_are_known(
    operator: Operator, s9: S9Database, application: Application, passes: int
) -> None:
    """The times are all known for what they are, also when the table alone tells them, and by who
    verifies by S9. `s9` is empty, and its tables are not there."""
    small_trade(s9)
    many = range(20, 20 + passes)
    for number in many:
        insert(s9, "msg", sale(number, 1, 3))
        insert(s9, "msg_line", line(number * 10, number))
    operator.configure(transformation={"updatedAt": "migration"})
    operator.run("--full").ended(0)
    for number in many:
        s9.execute("UPDATE msg SET notes = 'urgente' WHERE first_id = %s", number)
        operator.run("sync").ended(0)
    assert len(operator.manifest()["moments"]) == 1
    now = application.scan()
    times = {item["updatedAt"]["S"] for item in now["sales"].values()}
    assert len(times) == 1 + len(many)
    operator.run("--phase", "verify").ended(0)
    operator.run("--phase", "verify", "--from-source").ended(0)
    operator.run("drift").ended(0)
    operator.run("sync").ended(0)
    assert application.scan() == now
    # Where no load says what was written, the table does.
    for each in (operator.data / "undo").glob("sales*"):
        each.unlink()
    s9.execute("UPDATE msg SET notes = 'poi' WHERE first_id = 20")
    operator.run("sync").ended(0)
    later = application.scan()
    differ = [key for key, item in later["sales"].items() if item != now["sales"][key]]
    assert {later["sales"][key]["legacyId"]["S"] for key in differ} == {"20", "200"}
