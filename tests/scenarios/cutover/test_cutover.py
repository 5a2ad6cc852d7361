"""The switch, from the first pass to the last word: once well, and with each gate shut."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import orjson
import pytest
from psycopg2.extensions import connection

from tests.conftest import S9Database, TableNames
from tests.scenarios.conftest import hire
from tests.support.application.application import LATER, Application
from tests.support.operators.operator import Operator, insert, line, sale, small_trade
from tests.support.operators.pseudo_terminal import PseudoTerminal
from tests.support.operators.undone import headers
from utils.embedded.aws import EmbeddedAws

STOPPED = ("cutover", "--s9-is-stopped")


def state(operator: Operator) -> Any:
    """What the file of the cut-over says."""
    path = operator.data / "cutover.json"
    assert path.stat().st_mode & 0o777 == 0o600
    return orjson.loads(path.read_bytes())


def steps(operator: Operator) -> list[str]:
    return list(state(operator)["steps"])


def edited(operator: Operator, by: str = "Rag. Verdi", **of_first: object) -> str:
    """A copy of the list of what is open, with everything accepted; the first entry is as said."""
    document = orjson.loads((operator.data / "reports" / "cutover_acceptance.json").read_bytes())
    document["acceptedBy"] = by
    for each in document["open"]:
        each["accepted"] = True
    document["open"][0].update(of_first)
    copy = operator.directory / "accepted.json"
    copy.write_bytes(orjson.dumps(document))
    return str(copy)


def at_a_terminal(operator: Operator, *words: str, answer: str) -> str:
    """Type a command at a terminal and answer its question; returns the last line."""
    operator.write_config()
    terminal = PseudoTerminal(1000, then=[("[y/N]", lambda shown: shown.type(answer))])
    command = operator.command(*words)
    assert terminal.run(command, operator.directory, operator.environment) == 0
    return terminal.lines[-2]


def test_walked_at_a_terminal(migrated: Operator, s9: S9Database, application: Application) -> None:
    insert(s9, "msg", sale(12, 1, 3))
    insert(s9, "msg_line", line(6, 12))
    waits = at_a_terminal(migrated, "cutover", answer="n")
    assert waits.endswith("To give up: python migrate.py cutover --abort")
    assert "Now stop S9's application, then: python migrate.py cutover --s9-is-stopped" in waits
    assert steps(migrated) == ["in-step"]
    certified = at_a_terminal(migrated, "cutover", answer="y")
    assert "Switch the application now, then: python migrate.py cutover --switched" in certified
    report = migrated.report("cutover")
    assert report["verdict"] == "the target holds what S9 holds"
    assert report["nextNumbers"] == {"2024": 13}
    assert report["entities"]["sales"]["extracted"] == 3
    assert [each["step"] for each in report["steps"]] == [
        "in-step",
        "frozen",
        "caught-up",
        "verified",
        "accepted",
    ]
    [frozen] = [each for each in report["steps"] if each["step"] == "frozen"]
    assert frozen["evidence"]["saidBy"] == "at the terminal"
    switched = migrated.run("cutover", "--switched").ended(0)
    assert "the Sale Module owns the data since" in switched.last_line
    assert state(migrated)["owner"] == "the Sale Module"
    assert migrated.run("cutover").ended(0).last_line == switched.last_line


def test_the_same_on_mariadb_with_a_look_at_whether_it_is_quiet(
    tmp_path: Path, s9_on_mysql: S9Database, aws: EmbeddedAws, tables: TableNames
) -> None:
    operator = hire(tmp_path, s9_on_mysql, aws, tables)
    small_trade(s9_on_mysql)
    operator.run("--full").ended(0)
    done = operator.run("cutover", "--freeze-check", "0.1").ended(0)
    assert "GRANT PROCESS lets the account see it" in done.output
    assert steps(operator)[-1] == "certified"
    s9_on_mysql.execute("UPDATE msg SET notes = 'urgente' WHERE first_id = 10")
    shut = operator.run("cutover", "--switched").ended(4)
    assert "sales 10 (changedInSource)" in shut.output
    assert "Now S9 owns the data" in shut.last_line
    operator.run("cutover", "--switched", "--yes").ended(2)
    operator.run("cutover", "--switched", "--leave-behind").ended(0)
    evidence = state(operator)["steps"]["switched"]["evidence"]
    assert (evidence["leftBehind"], list(evidence["reports"])) == (
        1,
        ["reports/left_behind_report.json"],
    )
    assert [each["legacyId"] for each in operator.report("left_behind")["records"]] == ["10"]


def test_an_open_transaction_keeps_the_gate_shut_and_a_kill_nothing(
    migrated: Operator, s9: S9Database, application: Application
) -> None:
    other = s9.server.connect(s9.name)
    assert isinstance(other, connection)
    other.autocommit = False
    with other.cursor() as cursor:
        cursor.execute("SET application_name = 'sale9'")
        cursor.execute("UPDATE msg SET notes = 'urgente' WHERE first_id = 10")
        shut = migrated.run(*STOPPED).ended(1)
        assert f"process {other.info.backend_pid} of" in shut.last_line
        assert "(sale9) on msg" in shut.last_line
        assert "S9 owns the data" in shut.last_line
    other.commit()
    other.close()
    assert steps(migrated) == ["in-step"]

    with migrated.start(*STOPPED) as running:
        running.wait_for(lambda: "caught-up" in steps(migrated))
        running.process.send_signal(signal.SIGKILL)
        running.process.wait()
    assert "verified" not in steps(migrated)
    seen = migrated.run("status").ended(0).stdout
    assert "of the cut-over, caught-up is done. To go on: python migrate.py cutover" in seen
    s9.execute("UPDATE msg SET notes = 'di nuovo' WHERE first_id = 11")
    shut = migrated.run("cutover").ended(4)
    assert "changed in S9 since it was stopped: sales 11 (changedInSource)" in shut.last_line
    assert steps(migrated) == ["in-step"]
    assert migrated.run(*STOPPED).ended(0).last_line.startswith("Certified")


def test_damage_in_the_target_keeps_the_gate_shut(
    migrated: Operator, s9: S9Database, application: Application
) -> None:
    application.delete("sales", migrated.items("sales")[1])
    shut = migrated.run(*STOPPED).ended(4)
    assert "nobody has signed that: sales 10 (missing)" in shut.last_line
    assert steps(migrated) == ["in-step", "frozen", "caught-up"]
    migrated.run("--phase", "verify", "--from-source", "--repair").ended(0)
    migrated.run("cutover").ended(0)
    assert steps(migrated)[-1] == "certified"
    migrated.run("cutover", "--abort").ended(0)
    assert not (migrated.data / "reports" / "cutover_report.json").exists()
    assert state(migrated)["steps"] == {}
    assert state(migrated)["history"][0]["after"] == "certified"
    migrated.run("sync").ended(0)


@pytest.fixture
def with_something_open(alone: Operator, s9: S9Database, application: Application) -> Operator:
    """One sale is in quarantine by now, the other the application has changed, and there is a third
    that S9 has no more; a setting leaves rows out."""
    migrated = alone.configure(
        load={"onConflict": "skip"},
        sync={"removed": "keep"},
        extraction={"sales": {"where": "first_id < 1000"}},
    )
    small_trade(s9)
    insert(s9, "msg", sale(12, 1, 3))
    insert(s9, "msg_line", line(6, 12))
    migrated.run("--full").ended(0)
    s9.execute("UPDATE msg SET status = 'unheard of' WHERE first_id = 10")
    s9.execute("DELETE FROM msg_line WHERE msg_id = 12")
    s9.execute("DELETE FROM msg WHERE first_id = 12")
    [changed] = [each for each in headers(migrated, "sales") if each["legacyId"]["S"] == "11"]
    application.change("sales", changed, status={"S": "paid"}, updatedAt={"S": LATER})
    return migrated


def test_what_is_open_is_accepted_by_name(
    with_something_open: Operator, s9: S9Database, application: Application
) -> None:
    operator = with_something_open
    waits = operator.run(*STOPPED).ended(5)
    assert "4 things are not in the target" in waits.last_line
    open_ = orjson.loads((operator.data / "reports" / "cutover_acceptance.json").read_bytes())
    assert {(each["key"], each["what"], each["accepted"]) for each in open_["open"]} == {
        ("10", "inQuarantine", False),
        ("12", "leftS9", False),
        ("11", "changedByApplication", False),
        ("", "leftOut", False),
    }
    operator.run("cutover", "--switched").failed(2, "nothing is certified yet")
    accept = ("cutover", "--accept")
    operator.run(*accept, edited(operator, by=" ")).failed(2, "acceptedBy is empty")
    operator.run(*accept, str(operator.data / "manifest.json")).failed(2, "is no list of what")
    little = operator.run(*accept, edited(operator, accepted=False)).ended(5)
    assert "Still open, not accepted: sales 10 (inQuarantine" in little.stdout
    other = operator.run(*accept, edited(operator, why="another")).ended(5)
    assert "accepted for another reason than it is open for: sales 10" in other.stdout
    lacking = operator.run(*accept, edited(operator, key="77")).ended(5)
    assert "Still open, not in the file: sales 10" in lacking.stdout
    assert "Accepted, and no longer open: sales 77" in lacking.stdout
    enough = edited(operator)
    operator.run(*accept, enough).ended(0)
    assert operator.report("cutover")["acceptance"]["acceptedBy"] == "Rag. Verdi"
    assert operator.report("cutover")["acceptance"]["count"] == 4
    page = (operator.data / "reports" / "report.html").read_text("utf-8")
    assert "Gates of the cut-over" in page
    assert "4, by Rag. Verdi" in page


def test_rehearsed_it_says_what_each_gate_would_say(
    with_something_open: Operator, s9: S9Database, application: Application
) -> None:
    operator = with_something_open
    before, manifest = application.scan(), operator.manifest()
    done = operator.run("cutover", "--rehearse").ended(5)
    assert "Rehearsed, accepted" in done.stdout
    assert "The standstill would be about" in done.last_line
    assert (application.scan(), operator.manifest()) == (before, manifest)
    assert not (operator.data / "cutover.json").exists()
    assert operator.rehearsal.report("cutover")["rehearsal"]


def test_without_a_complete_migration_there_is_nothing_to_cut_over(alone: Operator) -> None:
    alone.run("cutover").failed(2, "there is no migration")
    assert "none is under way" in alone.run("cutover", "--status").ended(0).last_line
