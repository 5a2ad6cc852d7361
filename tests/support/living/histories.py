"""Random histories of a target that is kept in step with a living S9, while the application works.

A history is a list of words, each with a number of its own: steps of S9, acts of the application,
passes. All chances come from the seed, a word and its number; so a history that fails is printed,
and played again whole or with words left out:

    History(operator, s9, dynamodb, tables, seed, ["full:0", "move_line:3", "pass:4"]).play()

Words: a step's name (STEPS), "act" (the application does something, to its end), "begin" (it is in
the middle of something), "full" and "pass"; "living" is a pass during which both go on; "killed" is
one that is killed at some event and then resumed, and the next pass follows it at once.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mypy_boto3_dynamodb import DynamoDBClient

from tests.conftest import S9Database, TableNames
from tests.support.application.sale_module import SaleModule
from tests.support.aws.proxy import Answer, FaultyProxy, Plan, Request
from tests.support.faults.sabotage import SabotagedOperator
from tests.support.living.fresh import fresh_migration
from tests.support.living.judge import Contents, Judge, Written, contents_of
from tests.support.living.living_s9 import LivingS9
from tests.support.living.steps_of_transactions import STEPS
from tests.support.operators.operator import ENTITIES, Operator, by_key, scan_all
from transform.values.ids import record_id
from utils.embedded.aws import EmbeddedAws

_RATE = 0.15  # of requests during which something happens
_MOST_EVENTS = 500  # after which a pass is killed; a small one has some hundred
_KINDS = {"buyers": "buyer", "producers": "producer", "sales": "sale"}


def script(seed: int, *, passes: int, rough: bool = False) -> list[str]:
    """The words of a history, from its seed; a `rough` one has kills, and passes during which life
    goes on."""
    chance = random.Random(seed)
    words = [*life(chance), "full"]
    for number in range(passes):
        words += life(chance)
        last = number == passes - 1
        kinds = ["pass"] if not rough or last else ["pass", "pass", "killed", "living"]
        words.append(chance.choice(kinds))
    return [f"{word}:{number}" for number, word in enumerate(words)]


def life(chance: random.Random) -> list[str]:
    """What happens between two passes."""
    steps = chance.choices([*STEPS], k=chance.randint(1, 8))
    acts = chance.choices(["act", "act", "begin"], k=chance.choice((0, 0, 1, 2)))
    return chance.sample([*steps, *acts], len(steps) + len(acts))


@dataclass
class History:
    """One history, of an operator whose tables are empty. `words` are what happens in it."""

    operator: Operator
    s9: S9Database
    dynamodb: DynamoDBClient
    tables: TableNames
    aws: EmbeddedAws
    seed: int
    words: Sequence[str]
    settings: dict[str, str] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.living = LivingS9(self.s9, told=self.told)
        names = {name: str(getattr(self.tables, name)) for name in ENTITIES}
        self.application = SaleModule(self.dynamodb, names, log=self.told)
        self._written = Written()
        self._lock = threading.Lock()
        self._during: random.Random | None = None  # while life goes on during a pass
        self.doings: dict[str, Callable[[random.Random], list[str]]] = {
            "act": self._act,
            "begin": self._begin,
            "full": self._full,
            "pass": self._pass,
            "living": self._living_pass,
            "killed": self._killed_pass,
        }
        self.operator.configure(
            load={"onConflict": "skip"},
            sync=self.settings,
            migration={
                "validateAfterLoad": False,
                "maxRetries": 5,
                "retryDelay": 0.01,
                "processes": 1,
            },
        )

    def play(self) -> list[str]:
        """Let it happen; what is wrong after a pass, or with the tables in the end beside those of
        a fresh migration, and then the whole history."""
        try:
            if not any(word.startswith("living:") for word in self.words):
                return self._played()
            with FaultyProxy(self.aws, Plan(always=self._meanwhile)) as proxy:
                self.operator.configure(target={"endpoint": proxy.url})
                return self._played()
        finally:
            self.living.end_late(commit=False)

    def assert_converges(self) -> None:
        """Let it happen, and nothing be wrong."""
        problems = self.play()
        assert not problems, "\n".join(problems)

    def _played(self) -> list[str]:
        self.living.settle()
        for word in self.words:
            if problems := self._happens(word):
                return [*problems, *self._story()]
        problems = self._end()
        return [*problems, *self._story()] if problems else []

    def _happens(self, word: str) -> list[str]:
        name, _, number = word.partition(":")
        chance = random.Random(f"{self.seed} {name} {number}")
        self.told.append(f"-- {word}")
        if name in STEPS:
            self.living.step(name, STEPS[name], chance)
            return []
        return self.doings[name](chance)

    # -- the application --------------------------------------------------------------------

    def _act(self, chance: random.Random) -> list[str]:
        self._begin(chance)
        self.application.finish()
        return []

    def _begin(self, chance: random.Random) -> list[str]:
        """It has read, and not written yet; or done a part of something."""
        self.application.chance = chance
        if self._is_loaded:
            self.application.step()
        return []

    @property
    def _is_loaded(self) -> bool:
        return bool(self.operator.outcomes)

    # -- passes -----------------------------------------------------------------------------

    def _full(self, _chance: random.Random) -> list[str]:
        return self._run(self.operator, "--full")

    def _pass(self, _chance: random.Random) -> list[str]:
        self.application.finish()
        return self._run(self.operator, "sync")

    def _living_pass(self, chance: random.Random) -> list[str]:
        """Life goes on during a pass."""
        self.application.finish()
        self._during = chance
        return self._run(self.operator, "sync")

    def _meanwhile(self, _request: Request) -> Answer | None:
        with self._lock:
            if self._during is not None and self._during.random() < _RATE:
                self._anything(self._during)
        return None

    def _anything(self, chance: random.Random) -> None:
        if chance.random() < 0.5:
            self._act(chance)
        else:
            name = chance.choice([*STEPS])
            self.living.step(name, STEPS[name], chance)

    def _killed_pass(self, chance: random.Random) -> list[str]:
        """A pass is killed, perhaps more than once, and resumed, while life goes on in between."""
        self.application.finish()
        tool = SabotagedOperator.like(self.operator)
        while tool.is_killed("sync", after=chance.randint(1, _MOST_EVENTS)):
            self.told.append("   killed")
            for _ in range(chance.randint(0, 2)):
                self._anything(chance)
        return self._after(tool.outcomes[-1].code, tool.outcomes[-1].output)

    def _run(self, operator: Operator, *command: str) -> list[str]:
        outcome = operator.run(*command)
        return self._after(outcome.code, outcome.output)

    def _after(self, code: int, output: str) -> list[str]:
        """What is wrong after a command."""
        with self._lock:
            self._during = None
        self.told.append(f"   exit code {code}: {output.rstrip().rpartition(chr(10))[2]}")
        if code not in (0, 5) or "Traceback" in output or "unexpected" in output:
            return [f"exit code {code}:\n{output}"]
        found = transformed(self.operator)
        self._written.add(found)
        return self._judge(found)

    # -- the judge --------------------------------------------------------------------------

    def _end(self) -> list[str]:
        """What is wrong beside a fresh migration of S9 as it is."""
        self.application.finish()
        self.told.append("-- a fresh --full")
        return self._judge(
            fresh_migration(self.operator, self.s9, self.aws, self.dynamodb, self.tables)
        )

    def _judge(self, fresh: Contents) -> list[str]:
        config = self.operator.config.get("sync", {})
        judge = Judge(
            fresh,
            self._written,
            self.application,
            refused(self.operator),
            removed=config.get("removed", "delete"),
            when_refused=config.get("refused", "keep"),
        )
        return judge.problems(contents_of(scan_all(self.dynamodb, self.tables)))

    def _story(self) -> list[str]:
        return [
            f"seed {self.seed}, {self.settings}, on {self.s9.type}",
            f"words: {list(self.words)}",
            *self.told,
        ]


def transformed(operator: Operator) -> dict[str, dict[tuple[str, str], dict[str, Any]]]:
    """What a pass of an operator was to write, by entity and key."""
    return {entity: by_key(operator.items(entity)) for entity in ENTITIES}


def refused(operator: Operator) -> frozenset[str]:
    """The partition keys of the records that are in quarantine now."""
    return frozenset(
        f"{kind.upper()}#{record_id(kind, int(key), True)}"
        for entity, kind in _KINDS.items()
        if _quarantine(operator, entity).exists()
        for key in operator.quarantine(entity)
    )


def _quarantine(operator: Operator, entity: str) -> Path:
    return operator.data / "quarantine" / f"{entity}.json"
