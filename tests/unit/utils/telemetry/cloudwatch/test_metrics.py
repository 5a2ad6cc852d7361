"""Sums of a metric are what the events tell, whatever becomes of the requests."""

from __future__ import annotations

import random
from collections import Counter
from datetime import datetime, timezone
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError

from tests.support.fleet.events import fleet_at_work
from utils.config import TargetConfig
from utils.telemetry.cloudwatch import metrics
from utils.telemetry.cloudwatch.metrics import FOLLOWING, UNITS, MetricSender, MetricSums
from utils.telemetry.events import (
    Count,
    EventStream,
    FleetAtWork,
    FleetGone,
    Followed,
    Progressed,
    Retried,
    Step,
    StepBegun,
    StepFinished,
    Throttled,
)

LOAD = Step("load", "sales")
DOWN = EndpointConnectionError(endpoint_url="http://nowhere")
SLOW = ReadTimeoutError(endpoint_url="http://somewhere")
BUSY = ClientError({"Error": {"Code": "Throttling", "Message": "later"}}, "PutMetricData")
WRONG = ClientError({"Error": {"Code": "InvalidParameterValue"}}, "PutMetricData")


class Service:
    """CloudWatch, which fails as `faults` say, one after the other."""

    def __init__(self, *faults: Exception | None) -> None:
        self.faults = list(faults)
        self.requests: list[list[dict[str, Any]]] = []

    def put_metric_data(self, *, Namespace: str, MetricData: list[dict[str, Any]]) -> None:  # noqa: N803
        assert Namespace == "Migration"
        fault = self.faults.pop(0) if self.faults else None
        if fault is not None:
            raise fault
        self.requests.append(MetricData)

    def sums(self) -> dict[tuple[str, ...], float]:
        """The Sum of each metric: its name, and the values of its dimensions."""
        found: Counter[tuple[str, ...]] = Counter()
        for datum in (each for request in self.requests for each in request):
            names = [each["Name"] for each in datum["Dimensions"]]
            assert names == ["run", "phase", "entity"]
            assert datum["Unit"] == UNITS[datum["MetricName"]]
            place = [each["Value"] for each in datum["Dimensions"]]
            key = (datum["MetricName"], *place)
            found[key] += datum["Value"]
        return dict(found)


def sender(sums: MetricSums, service: Service, monkeypatch: pytest.MonkeyPatch) -> MetricSender:
    monkeypatch.setattr(metrics, "open_service", lambda _target, _name: service)
    return MetricSender(sums, TargetConfig(), lambda: datetime.now(timezone.utc))


def listening() -> tuple[EventStream, MetricSums]:
    stream, sums = EventStream("7f3a"), MetricSums()
    stream.listen(sums)
    return stream, sums


def test_what_is_sent_while_a_step_is_at_work_adds_up_to_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stream, sums = listening()
    service = Service()
    sending = sender(sums, service, monkeypatch)
    stream.emit(StepBegun(step=LOAD, count=Count(done=100, errors=1)))  # a resumed run
    for done in (150, 180, 180):
        stream.emit(Progressed(step=LOAD, count=Count(done=done, errors=2, write_units=done / 2)))
        sending.send()
    stream.emit(Throttled(step=LOAD, by="t/index/GSI4", reason="Throttling", times=3))
    stream.emit(Retried(step=LOAD, reason="Throttling", times=2))
    end = Count(done=200, errors=4, write_units=140.5)
    retries = {"Throttling": 2, "Timeout": 5}  # of which five were not told before
    stream.emit(StepFinished(step=LOAD, count=end, outcome="done", seconds=7.5, retries=retries))
    sending.send()
    place = ("7f3a", "load", "sales")
    assert service.sums() == {
        ("RecordsProcessed", *place): 100,
        ("Errors", *place): 3,
        ("ConsumedWriteUnits", *place): 140.5,
        ("ThrottledRequests", *place): 3,
        ("RetryCount", *place): 7,
        ("Duration", *place): 7.5,
    }
    assert sums.waiting == 0


def test_what_has_not_happened_is_said_once_of_a_phase_and_never_of_its_parts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stream, sums = listening()
    service = Service()
    for step in (Step("extract"), Step("verify", "sales", "comparing")):
        stream.emit(StepBegun(step=step, count=Count()))
        stream.emit(StepFinished(step=step, count=Count(), outcome="skipped", seconds=0.5))
    sender(sums, service, monkeypatch).send()
    apart = {*FOLLOWING, *(name for name in UNITS if name.startswith("Fleet"))}
    assert service.sums() == {
        **{(name, "7f3a", "extract", "all"): 0 for name in UNITS if name not in apart},
        ("Duration", "7f3a", "extract", "all"): 0.5,
        ("Duration", "7f3a", "verify: comparing", "sales"): 0.5,
    }


def test_how_the_log_is_followed_is_as_it_was_last(monkeypatch: pytest.MonkeyPatch) -> None:
    stream, sums = listening()
    service = Service()
    for lag in (9.0, 2.5):
        stream.emit(Followed(lag=lag, oldest=0.0, retained=4096))
    sender(sums, service, monkeypatch).send()
    assert service.sums() == {
        ("SyncLag", "-", "sync", "all"): 2.5,
        ("OldestUnapplied", "-", "sync", "all"): 0,
        ("RetainedLog", "-", "sync", "all"): 4096,
    }


def test_a_fleet_is_as_it_was_last_and_its_tasks_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    stream, sums = listening()
    service = Service()
    sending = sender(sums, service, monkeypatch)
    for machines, ended, lost in ((2, 5, 0), (1, 3, 2)):
        stream.emit(at_work(machines, ended, lost))
    sending.send()
    assert service.sums() == {
        ("FleetMachines", "7f3a", "fleet", "all"): 1,
        ("FleetCores", "7f3a", "fleet", "all"): 4,
        ("FleetTasks", "7f3a", "load", "sales"): 8,
        ("FleetTasksLost", "7f3a", "load", "sales"): 2,
    }
    stream.emit(FleetGone(step=LOAD))
    service.requests.clear()
    sending.send()
    assert service.sums() == {
        ("FleetMachines", "7f3a", "fleet", "all"): 0,
        ("FleetCores", "7f3a", "fleet", "all"): 0,
    }


def at_work(machines: int, ended: int, lost: int) -> FleetAtWork:
    return fleet_at_work(
        LOAD,
        machines=machines,
        executors=machines,
        cores=4 * machines,
        tasks=3,
        ended=ended,
        lost=lost,
    )


def test_what_belongs_to_no_step_has_a_name_too(monkeypatch: pytest.MonkeyPatch) -> None:
    stream, sums = EventStream(""), MetricSums()
    stream.listen(sums)
    service = Service()
    stream.emit(Retried(step=Step(""), reason="Timeout", times=2))
    sender(sums, service, monkeypatch).send()
    assert service.sums() == {("RetryCount", "-", "-", "all"): 2}


def test_what_was_done_before_and_is_skipped_now_is_not_counted_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stream, sums = listening()
    service = Service()
    done = Count(done=500, errors=3)
    stream.emit(StepFinished(step=LOAD, count=done, outcome="skipped", seconds=0.0))
    sender(sums, service, monkeypatch).send()
    assert set(service.sums().values()) == {0.0}


@pytest.mark.parametrize(
    ("fault", "arrived"), [(DOWN, 30), (BUSY, 30), (SLOW, 20), (WRONG, 20), (KeyError("x"), 30)]
)
def test_what_has_not_arrived_goes_with_the_next_and_what_may_have_does_not(
    monkeypatch: pytest.MonkeyPatch, fault: Exception, arrived: int
) -> None:
    stream, sums = listening()
    service = Service(fault)
    sending = sender(sums, service, monkeypatch)
    stream.emit(StepBegun(step=LOAD, count=Count()))
    stream.emit(Progressed(step=LOAD, count=Count(done=10)))
    with pytest.raises(type(fault)):
        sending.send()
    stream.emit(Progressed(step=LOAD, count=Count(done=30)))
    sending.send()
    assert service.sums()["RecordsProcessed", "7f3a", "load", "sales"] == arrived


def test_many_metrics_go_in_requests_that_cloudwatch_takes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stream, sums = listening()
    service = Service(None, DOWN)
    chance, expected = random.Random(1), Counter[str]()
    for number in range(1300):
        expected[f"t{number}"] = done = chance.randint(1, 9)
        stream.emit(StepBegun(step=Step("backup", f"t{number}"), count=Count()))
        stream.emit(Progressed(step=Step("backup", f"t{number}"), count=Count(done=done)))
    sending = sender(sums, service, monkeypatch)
    with pytest.raises(EndpointConnectionError):
        sending.send()
    sending.send()
    assert all(len(request) <= 1000 for request in service.requests)
    assert {name[-1]: value for name, value in service.sums().items()} == expected
