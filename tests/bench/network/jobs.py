"""What is measured over a network, where DynamoDB answers after a while.

The sink answers each request after a delay. With every delay the load by the tool's own choice
(workers null) stands beside fixed numbers of batches in flight, the sink alone, and boto3's
batch_writer; the best of the fixed numbers is what the choice is measured by.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import orjson

from tests.bench.jobs.comparisons import BATCH
from tests.bench.measure import Figures, Job, run_job
from tests.bench.rate import Metered
from tests.bench.scene import PART, Scene
from tests.bench.source import Size

OWN_CHOICE = 0
ALONE, WRITER = "sink_pipelined", "batch_writer"
FEW, FEWEST = "few", "fewest"  # databases, and the configurations that work on them
ENCRYPTED = "encrypted"  # the configuration that works on PART, with TLS: it is another target
WHOLE_OF_IT = "run"  # as of the other measurements: what is there already is not made again
ENOUGH = 12.0  # seconds that a load is to take, so that its beginning counts for little
_SLOW = 4_000  # items/s
CERTIFICATES = "AWS_CA_BUNDLE"
# What is done besides the load, and what has to be done before it.
OTHERS = {
    "load_on_condition": (),
    "load_replacing": ("load", "alter"),
    "rollback": ("load",),
    "verify": ("load",),
    "backup": ("load",),
    "restore": ("load", "backup", "clear"),
}
SCANS = ("verify", "backup")
AT = 15  # ms: what DynamoDB takes, or a little more


@dataclass(frozen=True)
class Case:
    """A job at a distance: `delay` ms to each answer, so many requests in flight."""

    job: str
    delay: int
    in_flight: int = OWN_CHOICE
    encrypted: bool = False

    @property
    def name(self) -> str:
        """What its figures are kept under."""
        number = f", {self.in_flight} in flight" if self.in_flight else ""
        return f"{self.job} at {self.delay} ms{number}{', TLS' if self.encrypted else ''}"


@dataclass(frozen=True)
class Measurement:
    """What was measured of a case, in one round; or of a table that takes so many units."""

    case: Case
    round: int
    figures: Figures
    metered: Metered | None = None

    @property
    def name(self) -> str:
        """What its figures are kept under."""
        units = f", {self.metered.units:,} units" if self.metered else ""
        return self.case.name + units


def further(sales: int) -> dict[str, Size]:
    """The databases that are needed besides, by the sales in the largest one."""
    return {FEW: Size(max(1, sales // 15)), FEWEST: Size(max(1, sales // 230))}


@dataclass(frozen=True)
class Network:
    """What is measured: `delays` in ms, `numbers` in flight, capacities of metered tables with the
    configuration that is loaded into them."""

    rounds: int = 1
    delays: Sequence[int] = (0, 5, AT, 40)
    numbers: Sequence[int] = (4, 16, 32, 64)
    capacities: Sequence[tuple[int, str]] = ((40_000, WHOLE_OF_IT), (300, FEWEST))
    limit: int = 2_000
    others: bool = True
    run: Callable[[str, Job], Figures] = run_job

    def measure(self, scene: Scene, say: Callable[[str], None]) -> Iterator[Measurement]:
        """Measure everything, round by round."""
        whole = [WHOLE_OF_IT] * (self.others and AT in self.delays)
        _prepare(scene, self.run, [*whole, *(name for _, name in self.capacities)], say)
        slow: set[str] = set()  # jobs that are too slow for as many items as others
        try:
            for number in range(1, self.rounds + 1):
                say(f"network, round {number} of {self.rounds}")
                for case in self._cases():
                    figures = self._figures(scene, case, FEW if case.job in slow else "")
                    if figures.rate < _SLOW and case.job in OTHERS:
                        slow.add(case.job)
                    yield Measurement(case, number, figures)
                for capacity in self.capacities:
                    yield self._metered(scene, number, *capacity)
        finally:
            scene.sink.delay(0.0)
            scene.sink.clear()

    def _cases(self) -> Iterator[Case]:
        for delay in self.delays:
            for number in (OWN_CHOICE, *self.numbers):
                yield Case("load", delay, number)
            yield Case(ALONE, delay)
            yield Case(WRITER, delay)
        for delay in self.delays:
            yield Case("load", delay, encrypted=True)
            if delay == AT:
                for number in self.numbers[-2:]:
                    yield Case("load", delay, number, encrypted=True)
            yield Case(ALONE, delay, encrypted=True)
        for delay in filter(None, self.delays if self.others else ()):
            for job in OTHERS:
                yield Case(job, delay)

    def _figures(self, scene: Scene, case: Case, name: str) -> Figures:
        name = name or _data_for(scene, case)
        limit = self.limit if case.job == WRITER else 0
        with _configured(scene, name, case) as job:
            scene.sink.clear()
            self._before(scene, case.job, job)
            scene.sink.delay(case.delay / 1000)
            try:
                return self.run(case.job, Job(job.config, limit))
            finally:
                scene.sink.delay(0.0)

    def _before(self, scene: Scene, name: str, job: Job) -> None:
        """Do what has to be done before, at once."""
        steps = OTHERS.get(name, ())
        for step in steps:
            if step == "clear":
                scene.sink.clear()
            elif step == "alter":
                scene.sink.alter()
            else:
                self.run(step, job)
        if steps:
            scene.sink.prepare()

    def _metered(self, scene: Scene, number: int, units: int, name: str) -> Measurement:
        case = Case("load", AT)
        with _configured(scene, name, case) as job:
            scene.sink.clear()
            scene.sink.delay(AT / 1000)
            scene.sink.meter(units)
            figures = self.run("load", job)
            taken, refused = scene.sink.metered()
        return Measurement(case, number, figures, Metered.of(units, taken, refused))


def _data_for(scene: Scene, case: Case) -> str:
    """The configuration with as many items as take a while, and not too long."""
    if case.encrypted:
        return ENCRYPTED
    if case.job in (ALONE, WRITER):
        return PART
    in_time = ENOUGH * BATCH * 1000 * case.in_flight / (case.delay + 2)
    if case.job == "load":
        return PART if not case.in_flight or in_time > scene.items(PART) else FEW
    if case.job == "restore":
        return FEW
    if case.job in SCANS:  # at AT of so many items that the start of processes counts for little
        return WHOLE_OF_IT if case.delay == AT else PART
    return PART if case.delay == AT else FEW


@contextmanager
def _configured(scene: Scene, name: str, case: Case) -> Iterator[Job]:
    """The job that works on this configuration as a case has it."""
    database = {WHOLE_OF_IT: "", ENCRYPTED: PART}.get(name, name)
    path = Path(scene.configuration(name, database=database))
    document = orjson.loads(path.read_bytes())
    document["migration"] = {"workers": case.in_flight or None, "backupBeforeLoad": False}
    document["load"] = {"onConflict": "overwrite"}
    if name == ENCRYPTED:
        document["target"]["endpoint"] = scene.sink.encrypted_endpoint
    path.write_bytes(orjson.dumps(document))
    before = os.environ.get(CERTIFICATES)
    if name == ENCRYPTED:
        os.environ[CERTIFICATES] = str(scene.sink.certificate)
    try:
        yield Job(str(path))
    finally:
        os.environ.pop(CERTIFICATES, None)
        if before is not None:
            os.environ[CERTIFICATES] = before


def _prepare(
    scene: Scene,
    run: Callable[[str, Job], Figures],
    further_ones: Sequence[str],
    say: Callable[[str], None],
) -> None:
    """Make what is to be loaded, where it is not there yet."""
    for name in dict.fromkeys((PART, ENCRYPTED, FEW, *further_ones)):
        if not (scene.data(name) / "transformed" / "sales.json").exists():
            say(f"network: making what is loaded ({name})")
            with _configured(scene, name, Case("load", 0)) as job:
                for phase in ("extract", "transform", "validate"):
                    run(phase, job)
