"""Random histories: a migration whose commands follow each other at random, while the application
acts between them and during them.

Everything comes from the seed. Afterwards the whole target is looked at: nothing that the
application has done is undone, unless somebody was asked to overwrite what there was, and no record
is torn.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from load.backup.engine import back_up, new_name
from load.backup.folder import BackupFolder
from load.restore.engine import restore
from tests.support.application.desk import Desk
from tests.support.application.parties_and_sales import sale_of, two_parties
from tests.support.application.sale_module import SaleModule, torn
from tests.support.aws.proxy import Answer, FaultyProxy, Plan, Request
from utils.config import NEWER, OVERWRITE, SKIP
from utils.embedded.aws import EmbeddedAws
from utils.error_handler import ConfigurationError, MigrationError
from utils.run.lifecycle import Start

_COMMANDS = 4
_RATE = 0.35  # of requests during which the application does something


@dataclass
class History:
    """One history. `told` is what happened, for whoever has to understand it."""

    aws: EmbeddedAws
    root: Path
    seed: int
    told: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._chance = random.Random(self.seed)
        self._busy = False
        self._at_work = False
        self._looked = 0  # acts of which the last look at the tables may know
        self._looking: bool | None = None  # whether a restore still looks; None: there is none
        self._seen = False
        self._raced: set[str] = set()  # sales that were replaced while they were worked on

    def play(self) -> list[str]:
        """Let it happen; returns what is wrong in the end."""
        desk = self._desk = Desk(self.root, self.aws.endpoint_url)
        desk.records = {
            **two_parties(),
            "sales": [
                sale_of(1, lines=2),
                sale_of(2, buyer=2),
                sale_of(3, lines=3),
                sale_of(4, lines=0),
            ],
        }
        desk.create_tables()
        tables = {name: desk.table(name) for name in desk.records}
        self._application = SaleModule(desk.client, tables, random.Random(self.seed + 1))
        self._application.log = self.told
        desk.clock.meanwhile = self._application.finish
        with FaultyProxy(self.aws, Plan(always=self._meanwhile)) as proxy:
            desk.settings(endpoint=proxy.url, workers=self._chance.choice([1, 3]))
            self._command("full", self._full)
            for _ in range(_COMMANDS):
                self._between()
                name, command = self._chance.choice(
                    [
                        ("full", self._full),
                        ("changed", self._changed),
                        ("rollback", self._rollback),
                        ("verify", self._verify),
                        ("restore", self._restore),
                    ]
                )
                self._command(name, command)
                if problems := self.problems():
                    return problems
            self._between()
        problems = self.problems()
        desk.drop()
        return problems

    def problems(self) -> list[str]:
        """What is wrong now."""
        self._application.finish()
        items = self._desk.scan()
        return [*self._application.undone(items), *torn(items, raced=self._raced)]

    # -- commands ---------------------------------------------------------------------------

    def _command(self, name: str, command: Callable[[], None]) -> None:
        self.told.append(f"-- {name}")
        self._application.finish()
        self._at_work = True
        try:
            command()
        except MigrationError as error:
            self.told.append(f"   {error.message[:300]}")
            assert "unexpected" not in error.message, error.message
        finally:
            self._at_work = False

    def _full(self) -> None:
        policy = self._chance.choice([SKIP, OVERWRITE, NEWER, "fail"])
        self._desk.settings(on_conflict=policy)
        self.told.append(f"   onConflict {policy}")
        self._looked = self._application.acts
        try:
            with suppress(ConfigurationError):
                self._desk.full(Start.RESTART)
        finally:
            if policy in (OVERWRITE, NEWER):
                self._raced |= self._application.busy_with.keys()
                self._forgive(self._looked if policy == OVERWRITE else 0)

    def _changed(self) -> None:
        """S9 has changed since: another amount, a line more or less, a sale more."""
        sales = self._desk.records["sales"]
        place = self._chance.randrange(len(sales))
        number, lines = place + 1, self._chance.randint(0, 4)
        buyer = self._chance.choice([1, 2])
        sales[place] = sale_of(number, buyer=buyer, lines=lines, cents=self._chance.randint(1, 999))
        if self._chance.random() < 0.5:
            sales.append(sale_of(len(sales) + 1, lines=2))
        self._full()

    def _rollback(self) -> None:
        self._desk.rollback()

    def _verify(self) -> None:
        self._desk.verified()

    def _restore(self) -> None:
        """Back a table up, let the application act, and put it back, while it goes on all the
        time. What the backup has of a record belongs together, though no moment is that of all."""
        entity = self._chance.choice(["sales", "buyers"])
        work, table = self._desk.session(), self._desk.table(entity)
        folder = back_up(work, table, new_name(work.config, table))
        self._at_work = False
        self._between()
        self._application.finish()
        self._at_work, self._looking, self._seen = True, True, False
        self._looked = self._application.acts
        try:
            done = restore(work, BackupFolder.open(folder.path), table, (), agreed=True)
            self.told.append(f"   {entity}: {done}")
        finally:
            self._forgive(self._looked)
            self._looking = None

    def _forgive(self, acts: int) -> None:
        """What the application had done before was to be overwritten."""
        self._application.forget(self._desk.scan(), until=acts)

    # -- the application --------------------------------------------------------------------

    def _between(self) -> None:
        for _ in range(self._chance.randint(0, 6)):
            self._application.step()

    def _meanwhile(self, request: Request) -> Answer | None:
        if self._at_work and not self._busy and self._chance.random() < _RATE:
            self._busy = True
            try:
                self._application.step()
            finally:
                self._busy = False
        self._note_look(request)
        return None

    def _note_look(self, request: Request) -> None:
        """Of a restore, the first requests look at the table, and what comes after them writes. Of
        a load, the backup does, also record by record (a Query with a limit)."""
        looks = request.operation == "Scan" or (
            request.operation == "Query" and b'"Limit"' in request.body and self._looking is None
        )
        if looks and self._at_work and self._looking is not False:
            self._looked, self._seen = self._application.acts, True
        elif self._looking and self._seen:
            self._looking = False
