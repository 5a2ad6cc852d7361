"""An operator whose tool is sabotaged: what happens to it, and what must be left in the end."""

from __future__ import annotations

import random
import shutil
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import orjson
from mypy_boto3_dynamodb import DynamoDBClient

from tests.conftest import TableNames
from tests.support.aws.proxy import FaultyProxy
from tests.support.operators.operator import ENTITIES, Operator, Outcome, Running, scan_all

REPORTS = ("mapping", "validation", "load", "verification")
AT_WORK = Path(__file__).with_name("at_work.py")
PHASES = ("extract", "transform", "validate", "load", "verify")
# Small files have many places in which a run can be killed, and each is remembered.
MANY_STEPS: dict[str, Any] = {
    "rows": 10_000,
    "set": {
        "extract.reading.records.FLUSH_RECORDS": 10,
        "utils.checkpoint._REST_PER_COST": 0.0,
        "load.sending.sender.SAY_EVERY": 0.0,
        "load.sending.file_lanes.PIECE_BYTES": 20_000,
    },
}
# Even a small load, or rollback, is shared by processes, in many pieces.
SHARED: dict[str, Any] = {
    "load.sending.sender_pool.WORTH_IT": 0,
    "load.sending.file_lanes.PIECE_BYTES": 4_000,
    "load.sending.job_pool.WORTH_IT": 0,
    "load.conflicts.conditional_load._PIECE": 8_000,
    "load.rollback.entity._PIECE": 8_000,
}


@dataclass
class SabotagedOperator(Operator):
    """An operator like any other; `plan` is what goes wrong (see at_work.py)."""

    plan: dict[str, Any] = field(default_factory=lambda: dict(MANY_STEPS))

    @classmethod
    def like(cls, operator: Operator, **plan: Any) -> SabotagedOperator:
        """The same desk, with a saboteur under it."""
        kept = {part.name: getattr(operator, part.name) for part in fields(Operator)}
        return cls(**kept, plan={**MANY_STEPS, **plan})

    def command(self, *arguments: str) -> list[str]:
        plan = orjson.dumps(self.plan).decode()
        return [sys.executable, str(AT_WORK), plan, *arguments]

    def killed(self, *arguments: str, **kill: Any) -> Outcome:
        """Type a command that is killed on the way, as `kill` says."""
        assert self.is_killed(*arguments, **kill), f"not killed {kill}: {self.outcomes[-1]}"
        return self.outcomes[-1]

    def is_killed(self, *arguments: str, **kill: Any) -> bool:
        """Type a command; whether it is killed on the way, as `kill` says, or over before."""
        before, self.plan = self.plan, {**self.plan, "kill": kill}
        outcome = self.run(*arguments)
        self.plan = before
        return outcome.code == -signal.SIGKILL

    @property
    def gate(self) -> Path:
        """The file that is there for as long as the tool is held."""
        return self.directory / "gate"

    def hold(self, **hold: Any) -> None:
        """From now on, what is started stands still on the way, as `hold` says."""
        self.plan = {**self.plan, "hold": {**hold, "gate": str(self.gate)}}

    @contextmanager
    def held(self, *arguments: str, **hold: Any) -> Iterator[Running]:
        """Type a command, and be there when it stands still on the way, as `hold` says; it goes
        on when it is let go."""
        before = self.plan
        self.hold(**hold)
        with self.start(*arguments) as running:
            self.plan = before
            self.wait_until_held(running)
            yield running

    def wait_until_held(self, running: Running) -> None:
        """Wait until the command that is at work stands still."""
        running.wait_for(self.gate.exists)

    def let_go(self) -> None:
        """What is held goes on."""
        self.gate.unlink()

    @property
    def way_on(self) -> str:
        """How to resume, or to begin once more where nothing was begun."""
        return "--resume" if (self.data / "manifest.json").exists() else "--full"

    def go_on(self) -> Outcome:
        """Resume, or begin once more where nothing was begun."""
        return self.run(self.way_on)


def through(proxy: FaultyProxy, operator: Operator) -> SabotagedOperator:
    """An operator with a proxy before the target, who waits for answers for two seconds only."""
    patient = {"maxRetries": 100, "retryDelay": 0.005, "batchSize": 5}
    operator.configure(target={"endpoint": proxy.url}, migration=patient)
    # The faults do not come of sending too fast: no need to get slower and slower.
    settings = {"utils.dynamodb.client.READ_TIMEOUT": 2, "load.writing.adaptive_rate._LEAST": 1e6}
    return SabotagedOperator.like(operator, set={**MANY_STEPS["set"], **settings})


def shared(operator: SabotagedOperator) -> SabotagedOperator:
    """An operator whose loads and rollbacks are shared by two processes, however small."""
    operator.configure(migration={"processes": 2})
    operator.plan = {**operator.plan, "set": {**operator.plan["set"], **SHARED}}
    return operator


def retries(operator: Operator) -> Counter[str]:
    """The retries by reason that the load report has, of all entities."""
    added: Counter[str] = Counter()
    for entity in operator.report("load")["entities"].values():
        added.update(entity["retries"])
    return added


def events(operator: SabotagedOperator, *arguments: str) -> list[str]:
    """What happens in an undisturbed run, in order: "phase entity what"."""
    notes = operator.directory / "events"
    operator.plan = {**operator.plan, "note": str(notes)}
    outcome = operator.run(*arguments)
    # 5: of data of which something is quarantined.
    assert outcome.code in (0, 5), outcome.output
    operator.plan = {name: value for name, value in operator.plan.items() if name != "note"}
    return notes.read_text(encoding="utf-8").splitlines()


@dataclass(frozen=True)
class Result:
    """What a migration leaves: its files byte for byte, its tables item by item, and what its
    reports say, as far as that is the same whatever happened on the way."""

    files: dict[str, bytes]
    items: dict[str, dict[tuple[str, str], dict[str, Any]]]
    reports: dict[str, dict[str, Any]]

    @classmethod
    def of(cls, operator: Operator, dynamodb: DynamoDBClient, tables: TableNames) -> Result:
        """What is there now; a run that says it verified it has left no half file. S9's sums say
        when records were read again."""
        assert operator.report("verification")["passed"]
        assert_nothing_is_left_over(operator)
        files = {n: text for n, text in operator.files().items() if not n.endswith(".sums.json")}
        return cls(files, scan_all(dynamodb, tables), told(operator))


def told(operator: Operator) -> dict[str, dict[str, Any]]:
    """What the reports of a whole run say, each of this run."""
    reports = {name: operator.report(name) for name in REPORTS}
    for name, report in reports.items():
        assert report["runId"] == operator.manifest()["run_id"], f"{name} is of another run"
    validated = reports["validation"]
    findings = operator.data / "reports" / validated["allFindings"]
    found = validated["errorCount"] + validated["warningCount"]
    assert len(findings.read_bytes().splitlines()) == found
    table = operator.data / "reports" / "findings.csv"
    assert len(table.read_bytes().splitlines()) >= 1 + found
    loaded = ("records", "items", "refused", "refusedRecords", "kept")
    return {
        "mapping": reports["mapping"]["entities"],
        "applied": {
            entity: {name: counts[name] for name in ("defaults", "repairs", "statuses", "times")}
            for entity, counts in reports["mapping"]["applied"].items()
        },
        "validation": {name: validated[name] for name in ("passed", "errorCount", "rules")},
        "load": {
            entity: {name: counts[name] for name in loaded}
            for entity, counts in reports["load"]["entities"].items()
        },
        "verification": reports["verification"]["counts"],
    }


def moments(happened: list[str]) -> list[int]:
    """The events (from 1) that leave something else than the one before: what precedes a rename,
    a removal or a request is what followed the event before it."""
    kinds = ("step", "begin", "fsync", "after rename", "after unlink", "after request")
    return [n for n, event in enumerate(happened, 1) if event.endswith(kinds)]


def start_over(operator: Operator, dynamodb: DynamoDBClient, tables: TableNames) -> None:
    """Begin with no files and an empty target once more."""
    shutil.rmtree(operator.data)
    for name in (tables.buyers, tables.producers, tables.sales):
        with suppress(dynamodb.exceptions.ResourceNotFoundException):
            dynamodb.delete_table(TableName=name)


def assert_nothing_is_left_over(operator: Operator) -> None:
    """No half file, no checkpoint, no scratch."""
    names = {path.relative_to(operator.data).as_posix() for path in operator.data.rglob("*")}
    left = [name for name in names if name.endswith((".partial", ".tmp")) or "/." in f"/{name}"]
    own = {".lock", ".mask-key"}
    assert own <= {*left} <= {*own, ".working-copy.json"}, left


def seeded_kills(chance: random.Random, happened: list[str], count: int) -> list[dict[str, Any]]:
    """`count` kills in the order of a run in which these events happened: at least one in each
    phase and entity (or, of fewer, each in another one), each at a random event, and early enough
    to leave some for the next."""
    places = [(phase, entity) for phase in PHASES for entity in ENTITIES]
    chosen = chance.sample(places, min(count, len(places)))
    chosen += chance.choices(places, k=count - len(chosen))
    there = Counter(tuple(event.split()[:2]) for event in happened)
    return [
        {
            "phase": phase,
            "entity": entity,
            "after": chance.randint(1, there[phase, entity] // (1 + chosen.count((phase, entity)))),
        }
        for phase, entity in sorted(chosen, key=places.index)
    ]
