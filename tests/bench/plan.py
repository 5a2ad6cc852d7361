"""What is measured, in which order, and beside what."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.bench.jobs.mysql import PASSWORD
from tests.bench.measure import Figures, Job, run_job
from tests.bench.scene import MANY_LINES, PART, Scene

PHASES = ("extract", "transform", "validate", "load", "verify")
SMALL = "small"  # the same phases over the smaller S9
LINES = "lines"  # those that work on single records, over sales with many lines
ALONE = "load_by_one"  # the load by one process
WHOLE = "whole"
BY_SOURCE = "verify_by_source"
ON_MYSQL = "extract_mysql"  # left out where MariaDB is not installed


@dataclass(frozen=True)
class Comparison:
    """A measurement, another one beside it, and what that other one is."""

    name: str
    other: str
    words: str


COMPARISONS = (
    Comparison("extract", "copy", "COPY of the same rows as JSON, to nowhere"),
    Comparison(ON_MYSQL, "mariadb_client", "mariadb -N -B -e 'SELECT …' of the same rows"),
    Comparison("transform", "json_of_transform", "parsing every record, writing every item"),
    Comparison("validate", "json_of_validate", "parsing every item"),
    Comparison("load", "sink_alone", "the sink alone, by a raw socket"),
    Comparison(ALONE, "batch_writer", "boto3's batch_writer"),
    Comparison(ALONE, "signature", "SigV4 of every request alone"),
    Comparison(ALONE, "sha256", "SHA-256 of every request alone"),
    Comparison("verify", "json_of_pages", "parsing every page"),
    Comparison("verify", "scan_alone", "the sink alone, by a raw socket"),
    Comparison(BY_SOURCE, WHOLE, "all five phases"),
    Comparison("whole", "script", "a script with fetchall and batch_writer"),
    Comparison("help_text", "bare_python", "a Python that does nothing"),
)
_BESIDE: dict[str, tuple[str, ...]] = {
    name: tuple(each.other for each in COMPARISONS if each.name == name)
    for name in {each.name for each in COMPARISONS}
}


@dataclass(frozen=True)
class Measured:
    """The figures of one measurement in one round."""

    name: str
    round: int
    figures: Figures


@dataclass(frozen=True)
class Plan:
    """How often what is measured. `limit` bounds the comparisons that take too long whole: so
    many items for batch_writer, a quarter as many sales for the script."""

    rounds: int
    limit: int
    profiles: bool
    run: Callable[[str, Job], Figures] = run_job

    def measure(self, scene: Scene, say: Callable[[str], None]) -> Iterator[Measured]:
        """Measure everything, round by round: each thing right beside what it is compared with."""
        run, whole = scene.configuration("run"), scene.configuration(WHOLE)
        small = scene.configuration(SMALL, database=PART)
        lines = scene.configuration(LINES, database=MANY_LINES)
        on_mysql = scene.configuration_of_mysql("mysql", PASSWORD) if scene.mysql else ""
        for number in range(1, self.rounds + 1):
            say(f"round {number} of {self.rounds}")
            for phase in (*PHASES[:-1], ALONE, *PHASES[-1:]):
                yield self._one(scene, phase, number, run)
                for other in _BESIDE[phase]:
                    yield self._one(scene, other, number, run)
            if scene.mysql is not None:
                for name in (ON_MYSQL, *_BESIDE[ON_MYSQL]):
                    yield self._one(scene, name, number, on_mysql)
            for phase in PHASES:
                yield self._one(scene, phase, number, small, f"{phase} {SMALL}")
            for phase in PHASES[:3]:
                yield self._one(scene, phase, number, lines, f"{phase} {LINES}")
            yield self._one(scene, WHOLE, number, whole)
            yield self._one(scene, BY_SOURCE, number, whole)
            for name in ("script", "help_text", "bare_python"):
                yield self._one(scene, name, number, run)
        if self.profiles:
            say("profiles")
            for phase in PHASES:
                yield self._one(scene, phase, 0, run, f"{phase} profile", profile=True)

    def _one(
        self,
        scene: Scene,
        job: str,
        number: int,
        configuration: str,
        name: str = "",
        *,
        profile: bool = False,
    ) -> Measured:
        if job in ("load", ALONE, WHOLE):
            scene.sink.clear()
        if job == "verify":
            scene.sink.prepare()
        limit = {"batch_writer": self.limit, "script": max(1, self.limit // 4)}.get(job, 0)
        # A profile is of one process: it cannot look into others.
        figures = self.run(job, Job(configuration, limit, profile, processes=int(profile)))
        return Measured(name or job, number, figures)
