"""What a run does, in figures in CloudWatch: the sums of a metric are those of the reports.

Each datum is what has come about since the last one, so that the Sum of a metric over any time is
what was done in it, and a resumed run adds what it does itself; but for how S9's log is followed
and how many machines share the work, which is as it was last. A step that has a name of its own
("comparing") is a phase of its own here: `verify: comparing`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from itertools import islice
from typing import Any

from utils.aws.services import open_service
from utils.config import TargetConfig
from utils.telemetry.cloudwatch.troubles import trouble_of
from utils.telemetry.events import (
    Count,
    FleetAtWork,
    FleetGone,
    Followed,
    Progressed,
    Retried,
    Step,
    StepBegun,
    StepFinished,
    Throttled,
    Told,
)

SERVICE = "CloudWatch"
NAMESPACE = "Migration"
# The metrics, and in which unit CloudWatch has them.
UNITS = {
    "RecordsProcessed": "Count",
    "Errors": "Count",
    "Duration": "Seconds",
    "RetryCount": "Count",
    "ConsumedWriteUnits": "Count",
    "ThrottledRequests": "Count",
    "SyncLag": "Seconds",
    "OldestUnapplied": "Seconds",
    "RetainedLog": "Bytes",
    "FleetMachines": "Count",
    "FleetCores": "Count",
    "FleetTasks": "Count",
    "FleetTasksLost": "Count",
}
# How it is, not what was done: of these the last value counts. How S9's log is followed is of no
# single run.
FOLLOWING = ("SyncLag", "OldestUnapplied", "RetainedLog")
_LATEST = (*FOLLOWING, "FleetMachines", "FleetCores")
_OF_FOLLOWING, _OF_FLEET = Step("sync", ""), Step("fleet", "")
DIMENSIONS = ("run", "phase", "entity")
_AT_ONCE = 500  # of 1,000 that PutMetricData takes, and well below its megabyte
_NOTHING = "-"  # a dimension must have a value
_OF_ALL = "all"


@dataclass(frozen=True)
class Metric:
    """A metric with its dimensions."""

    name: str
    run: str
    phase: str
    entity: str

    def datum(self, value: float, at: datetime) -> dict[str, Any]:
        """As PutMetricData takes it."""
        return {
            "MetricName": self.name,
            "Dimensions": [{"Name": name, "Value": getattr(self, name)} for name in DIMENSIONS],
            "Timestamp": at,
            "Value": value,
            "Unit": UNITS[self.name],
        }


class MetricSums:
    """Listens to the events of a run, and keeps what of them is not sent yet. Never waits."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._due: dict[Metric, float] = {}
        self._seen: dict[Step, Count] = {}
        self._retried: dict[Step, int] = {}
        self._under_way = 0

    def __call__(self, told: Told) -> None:
        with self._guard:
            for name, step, value in self._values(told.event):
                # What has not happened is only said of what a phase is about, when that is over.
                if name in _LATEST:
                    run = _NOTHING if name in FOLLOWING else told.run or _NOTHING
                    self._due[Metric(name, run, step.phase, _OF_ALL)] = value
                elif value or (not step.name and isinstance(told.event, StepFinished)):
                    phase = ": ".join(filter(None, (step.phase, step.name)))
                    metric = Metric(
                        name, told.run or _NOTHING, phase or _NOTHING, step.entity or _OF_ALL
                    )
                    self._due[metric] = self._due.get(metric, 0.0) + value

    def _values(self, event: object) -> Iterator[tuple[str, Step, float]]:
        if isinstance(event, StepBegun):
            self._seen[event.step] = event.count
            self._retried[event.step] = 0
        elif isinstance(event, Progressed):
            yield from self._progress(event.step, event.count)
        elif isinstance(event, Throttled):
            yield "ThrottledRequests", event.step, event.times
        elif isinstance(event, Retried):
            self._retried[event.step] = self._retried.get(event.step, 0) + event.times
            yield "RetryCount", event.step, event.times
        elif isinstance(event, Followed):
            values = (event.lag, event.oldest, float(event.retained))
            yield from (
                (name, _OF_FOLLOWING, value) for name, value in zip(FOLLOWING, values, strict=True)
            )
        elif isinstance(event, FleetAtWork):
            yield "FleetMachines", _OF_FLEET, event.machines
            yield "FleetCores", _OF_FLEET, event.cores
            yield "FleetTasks", event.step, event.ended
            yield "FleetTasksLost", event.step, event.lost
        elif isinstance(event, FleetGone):
            yield "FleetMachines", _OF_FLEET, 0
            yield "FleetCores", _OF_FLEET, 0
        elif isinstance(event, StepFinished):
            yield from self._end(event)

    def _progress(self, step: Step, count: Count) -> Iterator[tuple[str, Step, float]]:
        before = self._seen.get(step, count)
        self._seen[step] = count
        yield "RecordsProcessed", step, count.done - before.done
        yield "Errors", step, count.errors - before.errors
        yield "ConsumedWriteUnits", step, count.write_units - before.write_units

    def _end(self, event: StepFinished) -> Iterator[tuple[str, Step, float]]:
        yield from self._progress(event.step, event.count)
        told = self._retried.pop(event.step, 0)
        yield "RetryCount", event.step, max(0, sum(event.retries.values()) - told)
        yield "ThrottledRequests", event.step, 0
        yield "Duration", event.step, event.seconds
        self._seen.pop(event.step, None)

    @property
    def waiting(self) -> int:
        """How many metrics have something to send, or on the way."""
        with self._guard:
            return len(self._due) + self._under_way

    def take(self) -> dict[Metric, float]:
        """What is to be sent; it is on the way until `done` says what has become of it."""
        with self._guard:
            taken, self._due = self._due, {}
            self._under_way = len(taken)
            return taken

    def done(self, left: dict[Metric, float]) -> None:
        """What was taken is there, but for what is `left`."""
        with self._guard:
            self._under_way = 0
            for metric, value in left.items():
                if metric.name in _LATEST:
                    self._due.setdefault(metric, value)
                else:
                    self._due[metric] = self._due.get(metric, 0.0) + value


def _now() -> datetime:
    return datetime.now(timezone.utc)


class MetricSender:
    """Sends the sums."""

    def __init__(
        self, sums: MetricSums, target: TargetConfig, clock: Callable[[], datetime] = _now
    ) -> None:
        self._sums = sums
        self._target = target
        self._clock = clock
        self._client: Any = None

    def send(self) -> None:
        """Send all that there is. Raises whatever kept it from being taken."""
        left = self._sums.take()
        try:
            while left:
                self._put(left)
        finally:
            self._sums.done(left)

    def _put(self, left: dict[Metric, float]) -> None:
        """Send the first of what is left, and take it out of there unless it has surely not
        arrived: what may have arrived is not sent again, or the sums would be too large."""
        if self._client is None:
            self._client = open_service(self._target, "cloudwatch")
        part, at = dict(islice(left.items(), _AT_ONCE)), self._clock()
        data = [metric.datum(value, at) for metric, value in part.items()]
        try:
            self._client.put_metric_data(Namespace=NAMESPACE, MetricData=data)
        except Exception as error:
            if trouble_of(error, self._target).untouched:
                raise
            self._drop(left, part)
            raise
        self._drop(left, part)

    def _drop(self, left: dict[Metric, float], part: dict[Metric, float]) -> None:
        for metric in part:
            del left[metric]
