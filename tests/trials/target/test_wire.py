"""How the tool speaks with DynamoDB, and what it says when that fails (C5 to C8, C17, C18, E)."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from email.utils import formatdate
from pathlib import Path
from typing import Any

import orjson
import pytest
from botocore.retries import standard

from load.writing.batch_writer import BatchWriter
from load.writing.rate_limiter import RateLimiter
from tests.support.aws.environments import environments_that_fail
from tests.support.aws.ways import Service, nothing_kept, read_once
from tests.support.certificates import DAY, NOW, Authority
from utils.aws import http_wire
from utils.aws.http_wire import HttpWire, Server
from utils.aws.unreached import Unreached
from utils.config import TargetConfig
from utils.dynamodb import client as dynamodb
from utils.dynamodb.backoff import Attempts, RetryPolicy
from utils.dynamodb.client import (
    PASSING_CODES,
    THROTTLING_CODES,
    DynamoDB,
    RequestTooLarge,
    Unanswered,
)
from utils.dynamodb.retrying import ask
from utils.error_handler import BackOff, MigrationError, TargetError, Throttled
from utils.settings.config_file import load_config

BUNDLES = ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE")
AT_ONCE = RetryPolicy(1, 0.0, sleep=lambda _seconds: None)


@pytest.fixture(scope="module", autouse=True)
def files_read_once() -> Iterator[None]:
    with read_once():
        yield


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", *BUNDLES):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    with nothing_kept():
        yield


@pytest.fixture
def service() -> Iterator[Service]:
    service = Service()
    yield service
    service.close()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def at(url: str) -> TargetConfig:
    return TargetConfig(use_local_stack=True, endpoint=url)


def asked(url: str) -> TargetError:
    """What is said in the end when a request is made there."""
    with pytest.raises(TargetError) as raised:
        ask(DynamoDB(at(url)), AT_ONCE, "DescribeTable", {"TableName": "T"})
    return raised.value


# ---------------------------------------------------------------------------------------------
# Nobody answers
# ---------------------------------------------------------------------------------------------

Lay = Callable[[ExitStack, Authority, pytest.MonkeyPatch], str]


def _started(opened: ExitStack, *arguments: Any, **more: Any) -> Service:
    service = Service(*arguments, **more)
    opened.callback(service.close)
    return service


def _closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        return int(gone.getsockname()[1])


def refusing(opened: ExitStack, _: Authority, patch: pytest.MonkeyPatch) -> str:
    return f"http://127.0.0.1:{_closed_port()}"


def unknown_name(opened: ExitStack, _: Authority, patch: pytest.MonkeyPatch) -> str:
    return "http://dynamodb.invalid:8000"


def other_authority(opened: ExitStack, ca: Authority, patch: pytest.MonkeyPatch) -> str:
    return f"https://localhost:{_started(opened, ca.context('localhost')).port}"


def other_name(opened: ExitStack, ca: Authority, patch: pytest.MonkeyPatch) -> str:
    patch.setenv("AWS_CA_BUNDLE", str(ca.file))
    return f"https://localhost:{_started(opened, ca.context('tables.example')).port}"


def of_yesterday(opened: ExitStack, ca: Authority, patch: pytest.MonkeyPatch) -> str:
    patch.setenv("AWS_CA_BUNDLE", str(ca.file))
    service = _started(opened, ca.context("localhost", ends=NOW - DAY))
    return f"https://localhost:{service.port}"


def without_tls(opened: ExitStack, _: Authority, patch: pytest.MonkeyPatch) -> str:
    return f"https://127.0.0.1:{_started(opened).port}"


def with_tls(opened: ExitStack, ca: Authority, patch: pytest.MonkeyPatch) -> str:
    return f"http://127.0.0.1:{_started(opened, ca.context('localhost')).port}"


def answering_in_tls(opened: ExitStack, _: Authority, patch: pytest.MonkeyPatch) -> str:
    def alert(connection: socket.socket) -> None:
        connection.recv(1000)
        connection.sendall(b"\x15\x03\x03\x00\x02\x02\x46")

    return opened.enter_context(speaking(alert))


def refusing_proxy(opened: ExitStack, _: Authority, patch: pytest.MonkeyPatch) -> str:
    patch.setenv("HTTP_PROXY", f"http://ann:hunter22@127.0.0.1:{_closed_port()}")
    return "http://tables.example:8000"


def proxy_without_a_name(opened: ExitStack, _: Authority, patch: pytest.MonkeyPatch) -> str:
    patch.setenv("HTTPS_PROXY", "http://proxy.invalid:3128")
    return "https://tables.example"


def strict_proxy(opened: ExitStack, _: Authority, patch: pytest.MonkeyPatch) -> str:
    patch.setenv("HTTPS_PROXY", f"http://ann:hunter22@127.0.0.1:{_started(opened).port}")
    return "https://tables.example"


def strict_proxy_without_tls(opened: ExitStack, _: Authority, patch: pytest.MonkeyPatch) -> str:
    proxy = _started(opened, answer=(407, b"<html>Who are you?</html>"))
    patch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
    return "http://tables.example:8000"


def silent(opened: ExitStack, _: Authority, patch: pytest.MonkeyPatch) -> str:
    patch.setattr(dynamodb, "READ_TIMEOUT", 0.1)
    quiet = opened.enter_context(socket.create_server(("127.0.0.1", 0)))
    return f"http://127.0.0.1:{quiet.getsockname()[1]}"


def silent_before_tls(opened: ExitStack, ca: Authority, patch: pytest.MonkeyPatch) -> str:
    patch.setattr(dynamodb, "CONNECT_TIMEOUT", 0.1)
    quiet = opened.enter_context(socket.create_server(("127.0.0.1", 0)))
    return f"https://127.0.0.1:{quiet.getsockname()[1]}"


# Of these it is not certain that nothing of the request has arrived.
SENT = (with_tls, answering_in_tls, strict_proxy_without_tls, silent)


@pytest.mark.parametrize(
    ("lay", "words"),
    [
        (refusing, ["127.0.0.1 port {port}", "refuses", "target.endpoint"]),
        (unknown_name, ["name dynamodb.invalid (port 8000) is not known", "target.endpoint"]),
        (other_authority, ["certificate of localhost port {port}", "local issuer"]),
        (other_name, ["localhost", "tables.example", "AWS_CA_BUNDLE="]),
        (of_yesterday, ["certificate of localhost", "expired", "clock says"]),
        (without_tls, ["127.0.0.1 port {port}", "TLS", "http://"]),
        (with_tls, ["127.0.0.1 port {port}"]),
        (answering_in_tls, ["127.0.0.1 port {port}", "https://"]),
        (refusing_proxy, ["the proxy at 127.0.0.1", "refuses", "HTTP_PROXY=http://***@127.0.0.1"]),
        (proxy_without_a_name, ["proxy's name proxy.invalid (port 3128)", "HTTPS_PROXY="]),
        (strict_proxy, ["the proxy at 127.0.0.1", "407", "tables.example port 443", "NO_PROXY"]),
        (strict_proxy_without_tls, ["the proxy at 127.0.0.1", "407"]),
        (silent, ["127.0.0.1 port {port} did not answer within 0.1 seconds"]),
        (silent_before_tls, ["127.0.0.1 port {port} did not connect within 0.1 seconds"]),
    ],
)
def test_who_cannot_be_reached_is_named_with_the_cause_and_the_settings_in_play(
    lay: Lay, words: list[str], authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ExitStack() as opened:
        url = lay(opened, authority, monkeypatch)
        said = asked(url)
    port = url.rpartition(":")[2]
    assert isinstance(said, Unanswered)
    assert isinstance(said.__cause__, Unreached)
    assert said.__cause__.sent == (lay in SENT)
    assert said.message.startswith(f"{url} cannot be reached: ")
    told = f"{said.message} {said.remedy}"
    assert all(word.format(port=port) in told for word in [*words, "In play: "]), told
    assert "hunter22" not in told


@pytest.mark.parametrize(
    ("env", "words"),
    [
        ({"AWS_ENDPOINT_URL": "http://local_stack:4566"}, ["local_stack", "no _"]),
        ({"AWS_ENDPOINT_URL": "http://localhost:99999"}, ["Port", "AWS_ENDPOINT_URL="]),
        ({"AWS_ENDPOINT_URL_DYNAMODB": "localhost:4566"}, ["AWS_ENDPOINT_URL_DYNAMODB="]),
        ({"AWS_ENDPOINT_URL": "http://ann:hunter22@localhost"}, ["user or password"]),
        ({"AWS_ENDPOINT_URL": "http://localhost/a b"}, ["blank", "%20"]),
        ({"HTTPS_PROXY": "socks5://127.0.0.1:1080"}, ["proxy", "only proxies at http://"]),
        ({"HTTPS_PROXY": "http://proxy:port"}, ["proxy", "HTTPS_PROXY=http://proxy:port"]),
        ({"HTTPS_PROXY": "http://ann:hünter22@proxy:3128"}, ["proxy", "password"]),
        ({"HTTPS_PROXY": "http://ann@proxy:3128"}, ["proxy", "user without a password"]),
        ({"AWS_CA_BUNDLE": "/no/such/file"}, ["/no/such/file", "No such file", "AWS_CA_BUNDLE="]),
        ({"REQUESTS_CA_BUNDLE": "/"}, ["Is a directory", "REQUESTS_CA_BUNDLE=/"]),
        ({"AWS_CA_BUNDLE": " "}, ["CA bundle"]),
        ({"AWS_ACCOUNT_ID_ENDPOINT_MODE": "required"}, ["AccountId", "ENDPOINT_MODE=required"]),
        ({"AWS_ACCOUNT_ID_ENDPOINT_MODE": "often"}, ["often", "ENDPOINT_MODE=often"]),
    ],
)
def test_what_the_wire_cannot_use_is_refused_by_name_at_the_start(
    env: dict[str, str], words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "planted"}
    for name, value in {**usual, **env}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(TargetError) as raised:
        DynamoDB(TargetConfig())
    told = f"{raised.value.message} {raised.value.remedy}"
    assert all(word in told for word in [*words, "In play: "]), told
    assert "hunter22" not in told
    assert "hünter22" not in told


def test_whatever_the_environment_holds_is_used_as_botocore_does_or_refused(
    tmp_path: Path,
) -> None:
    assert not list(environments_that_fail(tmp_path, 2026, 25))


@pytest.mark.parametrize(
    ("endpoint", "good"),
    [
        ("http://localhost:4566", True),
        ("https://tables.example/aws/dynamodb", True),
        ("http://[::1]:8000/", True),
        ("http://local_stack:4566", False),
        ("http://localhost:99999", False),
        ("http://localhost:0", False),
        ("http://ann:hunter22@localhost", False),
        ("localhost:4566", False),
        ("http://localhost/a b", False),
        ("http://-x.example", False),
        ("http://a..b", False),
    ],
)
def test_an_endpoint_is_looked_at_before_anything_is_connected_to(
    tmp_path: Path, endpoint: str, *, good: bool
) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(orjson.dumps({"target": {"endpoint": endpoint}}))
    if good:
        assert load_config(path, {}).target.endpoint == endpoint
        return
    with pytest.raises(MigrationError, match=r"target\.endpoint: .*is not the URL") as raised:
        load_config(path, {})
    assert "hunter22" not in str(raised.value)


# ---------------------------------------------------------------------------------------------
# Answers that pass, and those that do not
# ---------------------------------------------------------------------------------------------


def problem(code: str, message: str = "") -> bytes:
    return orjson.dumps({"__type": f"com.amazon.coral#{code}", "message": message})


def raised_by(service: Service, status: int, content: bytes) -> Exception:
    service.answer = status, content
    with pytest.raises((BackOff, TargetError)) as raised:
        DynamoDB(at(f"http://127.0.0.1:{service.port}")).call("Scan", b"{}")
    return raised.value


def test_everything_that_botocores_standard_mode_tries_again_is_tried_again() -> None:
    kinds: Any = standard
    throttled = set(kinds.ThrottledRetryableChecker._THROTTLED_ERROR_CODES)
    passing = set(kinds.TransientRetryableChecker._TRANSIENT_ERROR_CODES)
    in_transactions = {"TransactionInProgressException"}
    assert throttled - in_transactions <= THROTTLING_CODES
    assert passing <= PASSING_CODES | THROTTLING_CODES


@pytest.mark.parametrize(
    ("status", "content", "kind"),
    [
        *((400, problem(code), Throttled) for code in ("SlowDown", "ThrottledException")),
        (400, problem("ReplicatedWriteConflictException"), BackOff),
        (400, problem("TransactionConflictException"), BackOff),
        (400, problem("TransactionInProgressException"), BackOff),
        (400, problem("RequestTimeout"), BackOff),
        (500, problem("SomethingNew"), BackOff),
        (504, problem("SomethingNew"), BackOff),
        (429, problem("SomethingNew"), Throttled),
        (429, b'{"message": "Too Many Requests"}', Throttled),
        (429, b"", Throttled),
        (408, b"<html>Request Timeout</html>", BackOff),
        (502, b"<html>Bad Gateway</html>", BackOff),
        (400, problem("SlowDown:http://internal.amazon.com/coral/"), Throttled),
    ],
)
def test_what_passes_is_tried_again(
    service: Service, status: int, content: bytes, kind: type[BackOff]
) -> None:
    assert type(raised_by(service, status, content)) is kind


@pytest.mark.parametrize("code", ["AccessDeniedException", "ValidationException", "KMSDisabled"])
def test_what_does_not_pass_is_final(service: Service, code: str) -> None:
    assert isinstance(raised_by(service, 400, problem(code, "no")), TargetError)


def test_the_rest_that_a_service_wishes_for_is_kept_but_not_for_long() -> None:
    slept: list[float] = []
    retry = RetryPolicy(9, 2.0, sleep=slept.append, uniform=lambda _low, _high: 1.0)
    for wish in (0.0, 0.5, 3.0, 60.0):
        attempts = Attempts(retry)
        attempts.fail(wish)
        attempts.wait()
    assert slept == [1.0, 1.0, 3.0, 6.0]


def test_a_wish_is_read_from_the_answer(service: Service) -> None:
    service.answer = 503, problem("ServiceUnavailable")
    service.headers = {"x-amz-retry-after": "2500"}
    with pytest.raises(BackOff) as raised:
        DynamoDB(at(f"http://127.0.0.1:{service.port}")).call("Scan", b"{}")
    assert raised.value.at_least == 2.5


@pytest.mark.parametrize(
    ("code", "message", "date"),
    [
        (
            "InvalidSignatureException",
            "Signature expired: 20260101T000000Z is now earlier than 20260101T001000Z "
            "(20260101T001500Z - 5 min.)",
            0.0,
        ),
        (
            "InvalidSignatureException",
            "Signature not yet current: 20260101T001000Z is still later than 20260101T000500Z",
            0.0,
        ),
        ("RequestTimeTooSkewed", "The difference is too large", 0.0),
        ("RequestExpired", "Request has expired", 0.0),
        ("InvalidSignatureException", "The request signature does not match", 3600.0),
    ],
)
def test_a_wrong_clock_is_told_as_such_in_the_services_words(
    service: Service, code: str, message: str, date: float
) -> None:
    """C7: it was told as bad credentials."""
    service.headers = {"Date": formatdate(time.time() + date, usegmt=True)}
    said = raised_by(service, 403, problem(code, message))
    assert isinstance(said, TargetError)
    assert all(word in said.message for word in (code, message, "This machine's clock says"))
    assert "set this machine's clock" in said.remedy
    assert "credentials" not in said.message


def test_wrong_credentials_are_told_in_the_services_words(service: Service) -> None:
    said = raised_by(service, 403, problem("UnrecognizedClientException", "The token is invalid."))
    assert isinstance(said, TargetError)
    assert "credentials (UnrecognizedClientException): The token is invalid" in said.message


# ---------------------------------------------------------------------------------------------
# Size and time
# ---------------------------------------------------------------------------------------------


def line(number: int) -> bytes:
    return orjson.dumps({"Item": {"PK": {"S": f"SALE#{number}"}, "SK": {"S": "x" * 100}}}) + b"\n"


class Strait:
    """A wire on which no request of more than so many bytes comes through."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.items: list[int] = []
        self.first: list[Exception] = []  # what happens first

    def call(self, _operation: str, body: bytes) -> bytes:
        if self.first:
            raise self.first.pop()
        if len(body) > self.most:
            raise RequestTooLarge("too large (HTTP 413)", remedy="let it through")
        count = body.count(b'"PutRequest"')
        self.items.append(count)
        taken = [{"TableName": "T", "CapacityUnits": 1.0 * count}]
        return orjson.dumps({"UnprocessedItems": {}, "ConsumedCapacity": taken})


def test_a_batch_that_is_too_large_for_what_stands_between_is_halved() -> None:
    wire = Strait(1200)
    writer = BatchWriter(wire, "T", AT_ONCE, RateLimiter(), indexes=0)  # type: ignore[arg-type]
    outcome = writer.write([line(number) for number in range(25)])
    assert (outcome.items, outcome.refused, sum(wire.items)) == (25, [], 25)
    wire.most = 100
    with pytest.raises(RequestTooLarge):  # that is not the item's fault
        writer.write([line(1), line(2)])


def test_what_could_not_be_sent_goes_out_as_a_batch_again() -> None:
    """Item by item goes only what may have arrived."""
    wire = Strait(10_000)
    wire.first += [_unsent(), _unsent()]
    retry = RetryPolicy(3, 0.0, sleep=lambda _seconds: None)
    writer = BatchWriter(
        wire,  # type: ignore[arg-type]
        "T",
        retry,
        RateLimiter(),
        indexes=0,
        doubtful=object(),  # type: ignore[arg-type] # it would fail
    )
    outcome = writer.write([line(number) for number in range(25)])
    assert (outcome.items, wire.items, dict(outcome.retries)) == (25, [25], {"ConnectionLost": 2})


def _unsent() -> Unreached:
    problem = Unreached("ConnectionLost", "nothing listens there")
    problem.sent = False
    return problem


@contextmanager
def speaking(speak: Callable[[socket.socket], object]) -> Iterator[str]:
    """A server that says what it likes to whoever connects."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            try:
                while True:
                    connection, _ = server.accept()
                    with connection:
                        speak(connection)
            except OSError:
                return

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def wire(url: str, **more: Any) -> HttpWire:
    times = {"connect_timeout": 5.0, "read_timeout": 5.0}
    return HttpWire(Server(url, certificates=True, **{**times, **more}))


def test_an_answer_of_413_is_heard_though_the_request_was_not_read() -> None:
    def refuse(connection: socket.socket) -> None:
        connection.recv(100)
        connection.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")

    with speaking(refuse) as url:
        for _ in range(3):
            assert wire(url).post(b"", b"x" * (8 << 20)).status == 413
        with pytest.raises(RequestTooLarge, match="of 8,388,608 bytes"):
            DynamoDB(at(url)).call("BatchWriteItem", b"x" * (8 << 20))


def dribbling(head: bytes) -> Callable[[socket.socket], None]:
    def dribble(connection: socket.socket) -> None:
        connection.recv(1000)
        connection.sendall(head)
        while True:
            connection.sendall(b"1")
            time.sleep(0.02)

    return dribble


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nX: ",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    ],
    ids=["no HTTP", "head", "length", "to the end", "chunks"],
)
def test_an_answer_that_dribbles_in_is_not_waited_for_without_end(head: bytes) -> None:
    """C18: each byte began the waiting anew."""
    with (
        speaking(dribbling(head)) as url,
        pytest.raises(BackOff, match="did not finish an answer") as late,
    ):
        wire(url, read_timeout=0.4).post(b"", b"x")
    assert late.value.reason == "Timeout"


@pytest.mark.parametrize(
    "head", [b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\n\r\n"]
)
def test_an_answer_without_an_end_is_not_kept(head: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_wire, "_ANSWER_AT_MOST", 1 << 20)

    def pour(connection: socket.socket) -> None:
        connection.recv(1000)
        connection.sendall(head)
        while True:
            connection.sendall(b"x" * (1 << 16))

    with speaking(pour) as url, pytest.raises(BackOff, match="no end"):
        wire(url).post(b"", b"x")
