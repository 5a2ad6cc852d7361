"""The cut-over by the operator's hands, at a terminal: each gate is shut once by what is really so,
and the terminal says each time who owns the data and which one command goes back."""

from __future__ import annotations

import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import orjson
from psycopg2.extensions import connection

from tests.conftest import S9Database
from tests.support.application.application import LATER, Application
from tests.support.operators.operator import Operator, insert, line, sale
from tests.support.operators.pseudo_terminal import PseudoTerminal
from tests.support.operators.undone import headers

STOPPED = ("cutover", "--s9-is-stopped")
ABORT = "python migrate.py cutover --abort"
BACK = "python migrate.py cutover --back"
S9_OWNS, OTHER_OWNS = "S9 owns the data", "the Sale Module owns the data"


@dataclass
class Desk:
    """Somebody types at a terminal; `states` are copies of the data directory as it stood after
    each step that was done last."""

    operator: Operator
    s9: S9Database
    states: dict[str, str] = field(default_factory=dict)

    def types(self, *words: str, code: int, answer: str = "") -> str:
        """Type a command and answer its question; what is shown, in one line."""
        self.operator.write_config()
        asked = [("[y/N]", lambda shown: shown.type(answer))] if answer else []
        terminal = PseudoTerminal(2000, then=list(asked))
        command = self.operator.command(*words)
        ended = terminal.run(command, self.operator.directory, self.operator.environment)
        shown = " ".join(filter(None, terminal.lines))
        assert ended == code, shown
        assert "Traceback" not in shown
        assert "unexpected" not in shown
        self._keep()
        return shown

    def is_shut(self, gate: str, why: str, *words: str, code: int) -> None:
        """Type a command that is stopped by a gate: it says why, who owns the data, and the one
        command that goes back."""
        shown = self.types(*words, code=code)
        found = re.search(f"The gate {gate} is shut: (.*)Now (.*) owns the data", shown)
        assert found, shown
        assert re.search(why, found[1]), shown
        assert found[2] == "S9"
        assert shown.endswith(f"to give up: {ABORT}"), shown

    def fails(self, why: str, *words: str) -> None:
        """Type a command that fails: the same."""
        shown = self.types(*words, code=1)
        assert re.search(f"Error: .*{why}.*What to do: .*{S9_OWNS}", shown), shown
        assert ABORT in shown or "nothing of a cut-over is done" in shown, shown

    def state(self) -> dict[str, object]:
        path = self.operator.data / "cutover.json"
        return dict(orjson.loads(path.read_bytes())) if path.exists() else {"steps": {}}

    @property
    def step(self) -> str:
        """The step that was done last."""
        steps = self.state()["steps"]
        assert isinstance(steps, dict)
        return next(reversed(list(steps)), "")

    def _keep(self) -> None:
        if self.step not in self.states:
            name = f"after-{self.step or 'nothing'}"
            shutil.copytree(self.operator.data, self.operator.directory / name)
            self.states[self.step] = name

    def note(self, text: str, number: int = 11) -> None:
        """S9 changes a sale."""
        self.s9.execute("UPDATE msg SET notes = %s WHERE first_id = %s", text, number)

    @contextmanager
    def restless(self) -> Iterator[None]:
        """S9 changes a sale all the time."""
        ended = threading.Event()

        def change() -> None:
            number = 0
            while not ended.wait(0.05):
                number += 1
                self.note(f"urgente {number}")

        thread = threading.Thread(target=change)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


def accepted(desk: Desk, *, all_of_it: bool) -> str:
    """An edited copy of the list of what is open."""
    path = desk.operator.data / "reports" / "cutover_acceptance.json"
    document = orjson.loads(path.read_bytes())
    document["acceptedBy"] = "Rag. Verdi"
    for each in document["open"][0 if all_of_it else 1 :]:
        each["accepted"] = True
    copy = desk.operator.directory / "accepted.json"
    copy.write_bytes(orjson.dumps(document))
    return str(copy)


def test_every_gate_is_shut_once(
    migrated: Operator, s9: S9Database, application: Application
) -> None:
    desk = Desk(migrated, s9)
    first, second = headers(migrated, "sales")

    # in-step: S9 cannot be read; there are too many changes
    s9.execute("ALTER TABLE msg_line RENAME TO gone")
    desk.is_shut("in-step", "the sync has ended with exit code 1", "cutover", code=1)
    s9.execute("ALTER TABLE gone RENAME TO msg_line")
    insert(s9, "msg", sale(12, 1, 3))
    insert(s9, "msg_line", line(6, 12))
    desk.is_shut(
        "in-step", "1 changed record.*--max-changes is 0", "cutover", "--max-changes", "0", code=1
    )
    assert desk.types("cutover", code=0, answer="n").endswith(f"To give up: {ABORT}")

    # frozen: a transaction is open; a row changes while it is looked at
    with_open_transaction(desk)
    with desk.restless():
        desk.is_shut(
            "frozen", "S9 is not quiet: rows of sales", "cutover", "--freeze-check", "1", code=1
        )
    assert desk.step == "in-step"

    # caught-up: both have changed a record, and nobody is to win
    application.change("sales", first, status={"S": "paid"}, updatedAt={"S": LATER})
    desk.note("urgente", 10)
    migrated.configure(load={"onConflict": "fail"})
    desk.fails("differ", *STOPPED)
    assert desk.step == "frozen"
    migrated.configure(load={"onConflict": "skip"})

    # verified: damage, in keys and in money; then S9 has changed
    [amount] = [each for each in migrated.items("sales") if each["PK"] == second["PK"]][:1]
    application.put("sales", {**amount, "total": {"N": "1"}})
    damage = "nobody has signed that: sales 11.*rows of the reconciliation do not add up"
    desk.is_shut("verified", damage, "cutover", code=4)
    assert desk.step == "caught-up"
    desk.types("--phase", "verify", "--from-source", "--repair", code=0)
    desk.note("non e fermo")
    desk.is_shut("verified", "changed in S9 since it was stopped: sales 11", "cutover", code=4)
    assert desk.step == "in-step"

    # accepted: not everything is; certified: S9 was started meanwhile
    waits = desk.types(*STOPPED, code=5)
    assert "S9 owns the data. Copy that list" in waits
    assert waits.endswith(f"To give up: {ABORT}")
    assert desk.step == "verified"
    desk.types("cutover", "--accept", accepted(desk, all_of_it=False), code=5)
    desk.note("avviato di nuovo")
    enough = ("cutover", "--accept", accepted(desk, all_of_it=True))
    desk.is_shut("certified", "rows of sales have changed since", *enough, code=4)
    assert desk.step == "in-step"
    desk.types(*STOPPED, code=5)
    assert f"To give up: {ABORT}" in desk.types(*enough, code=0)
    assert desk.step == "certified"

    # switched: S9 was not stopped after all
    desk.note("troppo tardi")
    desk.is_shut("switched", "1 record, all of them listed in", "cutover", "--switched", code=4)
    switched = desk.types("cutover", "--switched", "--leave-behind", code=0)
    assert OTHER_OWNS in switched
    assert switched.endswith(f"To give the data back to S9: {BACK}")
    refused = desk.types("cutover", "--abort", code=2)
    assert BACK in refused
    desk.types("cutover", "--back", code=0, answer="y")
    assert desk.state()["owner"] == "S9"
    given_up_from_every_state(desk)


def with_open_transaction(desk: Desk) -> None:
    other = desk.s9.server.connect(desk.s9.name)
    assert isinstance(other, connection)
    other.autocommit = False
    with other.cursor() as cursor:
        cursor.execute("UPDATE msg SET notes = 'urgente' WHERE first_id = 10")
        desk.is_shut("frozen", "1 open transaction may still be committed", *STOPPED, code=1)
    other.rollback()
    other.close()


def given_up_from_every_state(desk: Desk) -> None:
    """In each state that was come through, it can be given up, and S9 owns the data."""
    assert list(desk.states) == [
        "",
        "in-step",
        "frozen",
        "caught-up",
        "verified",
        "certified",
        "switched",
    ]
    for step, name in desk.states.items():
        if step != "switched":  # from there, it was
            desk.operator.configure(data={"directory": name})
            assert S9_OWNS in desk.operator.run("cutover", "--abort").ended(0).last_line
            assert desk.step == ""
