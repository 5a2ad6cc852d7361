"""Nobody waits for CloudWatch, and what goes wrong there is said once."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError

from utils.config import LoggingConfig, TargetConfig
from utils.error_handler import TargetError
from utils.logger import JsonLines, get_logger
from utils.telemetry.cloudwatch.logs import CloudWatchLines, LogSender
from utils.telemetry.cloudwatch.troubles import (
    LogGroupMissing,
    NotTaken,
    Troubles,
    trouble_of,
)
from utils.telemetry.cloudwatch.uplink import Uplink, settle

DOWN = EndpointConnectionError(endpoint_url="http://nowhere")
DENIED = ClientError({"Error": {"Code": "AccessDenied", "Message": "not you"}}, "PutMetricData")


class Outbox:
    """Something to send: `left` is what there is, `send` what becomes of it."""

    def __init__(self, send: Callable[[], object] = lambda: None) -> None:
        self.left = ["something"]
        self.sent = 0
        self._send = send

    def __call__(self) -> None:
        self._send()
        self.sent += 1
        self.left = []


@pytest.fixture
def troubles() -> Troubles:
    return Troubles(TargetConfig(), "logging.cloudWatch")


@pytest.fixture
def hung() -> Iterator[threading.Event]:
    """Somebody who does not answer until the test is over."""
    answer = threading.Event()
    yield answer
    answer.set()


def uplink(outbox: Outbox, troubles: Troubles, name: str = "CloudWatch", **pace: float) -> Uplink:
    made = Uplink(
        name,
        outbox,
        lambda: not outbox.left,
        troubles,
        **{"every": 3600, "first_after": 3600, **pace},
    )
    made.start()
    return made


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING]


def test_what_is_left_goes_out_when_it_is_settled_and_again_when_it_is_closed(
    troubles: Troubles,
) -> None:
    outbox = Outbox()
    link = uplink(outbox, troubles)
    assert settle([link], 60) > 0
    assert outbox.sent == 1
    outbox.left = ["the last words"]
    assert settle([link], 60, closing=True) > 0
    assert outbox.sent == 2
    link._thread.join(60)
    assert not link._thread.is_alive()


def test_the_end_does_not_wait_for_who_does_not_answer(
    troubles: Troubles, hung: threading.Event
) -> None:
    well, ill = Outbox(), Outbox(hung.wait)
    links = [uplink(ill, troubles), uplink(well, troubles, "CloudWatch Logs")]
    assert settle(links, 0.2) == 0.0
    assert (well.sent, ill.sent) == (1, 0)
    assert settle(links, 0.0, closing=True) == 0.0


def test_a_machine_that_has_no_thread_left_goes_without(
    troubles: Troubles, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(_self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    link = uplink(Outbox(), troubles)
    assert settle([link], 60, closing=True) > 0
    assert len(warnings(caplog)) == 1


def test_what_passes_at_once_is_not_worth_a_word(
    troubles: Troubles, caplog: pytest.LogCaptureFixture
) -> None:
    troubles.met("CloudWatch", DOWN, last=False)
    troubles.over("CloudWatch")
    troubles.met("CloudWatch", DOWN, last=False)
    assert caplog.records == []


def test_a_trouble_is_said_once_whatever_comes_after_it(
    troubles: Troubles, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, get_logger().name)
    troubles.met("CloudWatch", DENIED, last=False)
    for _ in range(3):
        for error in (DENIED, DOWN, ReadTimeoutError(endpoint_url="x"), RuntimeError("no thread")):
            troubles.met("CloudWatch", error, last=True)
            troubles.met("CloudWatch Logs", error, last=True)
    troubles.left("CloudWatch", "3 metrics")
    (said,) = warnings(caplog)
    assert said.startswith("CloudWatch denies access: not you. The migration continues without it.")
    assert "policy cloudWatch" in said
    assert "logging.cloudWatch to false" in said
    assert all(getattr(each, "files_only", False) for each in caplog.records[1:])
    told = [each.getMessage() for each in caplog.records if "For the next run" in each.getMessage()]
    assert len(told) == len(set(told)) == 4 + 4 + 1


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (DOWN, "cannot be reached: Could not connect"),
        (ReadTimeoutError(endpoint_url="x"), "gives no answer within 4 seconds"),
        (LogGroupMissing("/g, and it may not be created (no)"), "lacks the log group /g"),
        (TargetError("no AWS credentials were found", remedy="r"), "no AWS credentials were found"),
        (ClientError({"Error": {"Code": "ExpiredToken"}}, "x"), "have expired"),
        (ClientError({"Error": {"Code": "UnknownOperationException"}}, "x"), "not served there"),
        (
            ClientError({"Error": {"Code": "?"}, "ResponseMetadata": {"HTTPStatusCode": 503}}, "x"),  # type: ignore[typeddict-item]
            "overloaded",
        ),
        (ClientError({"Error": {"Code": "InvalidParameterValue"}}, "x"), "refuses what it is sent"),
        (ValueError("Invalid endpoint: x"), "cannot be used: Invalid endpoint"),
    ],
)
def test_a_trouble_is_named_with_what_to_do(error: Exception, words: str) -> None:
    trouble = trouble_of(error, TargetConfig())
    assert words in trouble.said
    assert trouble.remedy


def test_lines_are_kept_until_they_are_taken_and_the_oldest_go(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("utils.telemetry.cloudwatch.logs._MOST_LINES", 5)
    monkeypatch.setattr("utils.telemetry.cloudwatch.logs._AT_ONCE", 3)
    lines = CloudWatchLines()
    lines.setFormatter(JsonLines("7f3a"))
    for number in range(4):
        lines.handle(logging.makeLogRecord({"msg": f"line {number}"}))
    batch = lines.first()
    assert ["line 0" in batch[0].text, len(batch), lines.waiting] == [True, 3, 4]
    for number in range(4, 8):  # while the batch is on its way
        lines.handle(logging.makeLogRecord({"msg": f"line {number}"}))
    lines.done(batch)
    assert (lines.waiting, lines.dropped) == (5, 3)
    assert "line 3" in lines.first()[0].text


def test_large_lines_are_bounded_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("utils.telemetry.cloudwatch.logs._MOST_BYTES", 10_000)
    monkeypatch.setattr("utils.telemetry.cloudwatch.logs._BYTES_AT_ONCE", 3_000)
    lines = CloudWatchLines()
    for _ in range(100):
        lines.handle(logging.makeLogRecord({"msg": "x" * 1000}))
    assert lines.waiting == 9
    assert len(lines.first()) == 2


@pytest.mark.filterwarnings("ignore::watchtower.WatchtowerWarning")
def test_what_has_failed_is_tried_once_and_kept(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    client = Refusing()
    monkeypatch.setattr(
        "utils.telemetry.cloudwatch.logs.open_service", lambda _target, _name: client
    )
    lines = CloudWatchLines()
    sender = LogSender(lines, TargetConfig(), LoggingConfig(), "7f3a")
    for size in (10, 300_000):
        lines.handle(logging.makeLogRecord({"name": get_logger().name, "msg": "x" * size}))
    with pytest.raises(ClientError):
        sender.send()
    sender.close()
    assert client.calls == 1
    assert lines.waiting == 2
    assert capsys.readouterr() == ("", "")


@pytest.mark.filterwarnings("ignore::watchtower.WatchtowerWarning")
def test_lines_whose_time_is_refused_are_told_and_not_sent_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client = Refusing({"rejectedLogEventsInfo": {"tooNewLogEventStartIndex": 0}})
    monkeypatch.setattr(
        "utils.telemetry.cloudwatch.logs.open_service", lambda _target, _name: client
    )
    lines = CloudWatchLines()
    lines.handle(logging.makeLogRecord({"name": get_logger().name, "msg": "x"}))
    with pytest.raises(NotTaken, match="this machine's clock says"):
        LogSender(lines, TargetConfig(), LoggingConfig(), "7f3a").send()
    assert lines.waiting == 0


class Refusing:
    """A client of logs that may do nothing, or answers in a certain way."""

    def __init__(self, answer: dict[str, Any] | None = None) -> None:
        self.calls = 0
        self.meta = None
        self.answer = answer

    class exceptions:  # noqa: N801
        ClientError = ClientError

        class ResourceNotFoundException(Exception): ...

        class InvalidSequenceTokenException(Exception): ...

        class DataAlreadyAcceptedException(Exception): ...

        class ResourceAlreadyExistsException(Exception): ...

        class OperationAbortedException(Exception): ...

    def put_log_events(self, **_: object) -> dict[str, Any]:
        self.calls += 1
        if self.answer is not None:
            return self.answer
        raise ClientError({"Error": {"Code": "AccessDeniedException"}}, "PutLogEvents")
