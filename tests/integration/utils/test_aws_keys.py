"""Credentials: where they come from, what is said when nothing comes, and who asks for them."""

from __future__ import annotations

import datetime as dt
import getpass
import json
import shlex
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from botocore.credentials import ReadOnlyCredentials

from tests.support.aws.ways import Service, nothing_kept, read_once
from utils.aws.credentials import AskedKeys, OwnKeys, Unrenewed, keys_to
from utils.aws.services import open_service
from utils.aws.session import ask_nothing
from utils.config import TargetConfig
from utils.error_handler import TargetError
from utils.processes.pool import Workers

TARGET = TargetConfig()
ROLE = "[default]\nrole_arn = arn:aws:iam::111122223333:role/migrator\nsource_profile = own\n"
OWN = "[profile own]\naws_access_key_id = AKIDEXAMPLE\naws_secret_access_key = own-secret\n"
SSO = (
    "[default]\nsso_session = corp\nsso_account_id = 111122223333\nsso_role_name = dev\n"
    "[sso-session corp]\nsso_start_url = https://corp.example/start\nsso_region = eu-west-1\n"
)
DENIED = (
    b"<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>not authorized "
    b"to perform sts:AssumeRole</Message></Error></ErrorResponse>"
)
SKEWED = (
    b"<ErrorResponse><Error><Type>Sender</Type><Code>SignatureDoesNotMatch</Code><Message>"
    b"Signature expired: 20260101T000000Z is now earlier than 20260101T001000Z (20260101T002500Z - "
    b"15 min.)</Message></Error></ErrorResponse>"
)


def in_minutes(minutes: float) -> str:
    moment = dt.datetime.now(dt.timezone.utc) + dt.timedelta(minutes=minutes)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def given(key: str = "AKIDPROCESS", minutes: float | None = None, **more: str) -> str:
    """What a credential_process prints."""
    keys = {"Version": 1, "AccessKeyId": key, "SecretAccessKey": "secret-of-it", **more}
    ends = {} if minutes is None else {"SessionToken": "t" * 20, "Expiration": in_minutes(minutes)}
    return json.dumps({**keys, **ends})


@pytest.fixture(scope="module", autouse=True)
def files_read_once() -> Iterator[None]:
    with read_once():
        yield


class Desk:
    """An environment of AWS's, with a configuration file and a credential_process."""

    def __init__(self, directory: Path, patch: pytest.MonkeyPatch) -> None:
        self._patch = patch
        self._file = directory / "config"
        self.output = directory / "output"
        self.calls = directory / "calls"
        patch.setenv("AWS_CONFIG_FILE", str(self._file))
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(directory / "none"))
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        patch.setenv("HOME", str(directory))

    def config(self, text: str) -> None:
        self._file.write_text(text)

    def env(self, **variables: str) -> None:
        for name, value in variables.items():
            self._patch.setenv(name, value)

    def process(self, output: str) -> None:
        """A credential_process that notes each call and prints what it has; nothing: it fails."""
        self.output.write_text(output)
        program = (
            f"import sys; from pathlib import Path; open({str(self.calls)!r}, 'a').write('x'); "
            f"text = Path({str(self.output)!r}).read_text(); "
            "print(text or 'none'); text or sys.exit('no session here')"
        )
        self.config(
            f"[default]\ncredential_process = {shlex.join([sys.executable, '-S', '-c', program])}\n"
        )


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    with nothing_kept():
        yield Desk(tmp_path, monkeypatch)


@pytest.fixture
def sts() -> Iterator[Service]:
    service = Service()
    yield service
    service.close()


PROCESS = "credential_process of the default profile"


@pytest.mark.parametrize(
    ("config", "env", "words"),
    [
        ("[default]\ncredential_process = /no/such/program\n", {}, [PROCESS, "No such file"]),
        ("[default]\ncredential_process = echo hello\n", {}, [PROCESS, "cannot be read", "JSON"]),
        ("[default]\ncredential_process = false\n", {}, [PROCESS, "by hand"]),
        ("[default]\ncredential_process = echo '{}'\n", {}, [PROCESS, "Version"]),
        ("[default]\ncredential_process = echo '{\"Version\":1}'\n", {}, [PROCESS, "AccessKeyId"]),
        (f"[default]\ncredential_process = echo '{given(minutes=-5)}'\n", {}, [PROCESS, "expired"]),
        (ROLE, {}, ["the role (role_arn) of the default profile", "own"]),
        (ROLE.replace("source_profile = own", ""), {}, ["role_arn", "source_profile"]),
        (
            ROLE.replace("source_profile = own", "source_profile = broken")
            + "[profile broken]\ncredential_process = false\n",
            {},
            ["credential_process"],
        ),
        (
            "[default]\nrole_arn = arn:aws:iam::111122223333:role/x\n"
            "web_identity_token_file = /no/such/token\n",
            {},
            ["web identity", "/no/such/token", "No such file"],
        ),
        (SSO, {}, ["the SSO session of the default profile", "aws sso login"]),
        (SSO.replace("default", "profile p"), {"AWS_PROFILE": "p"}, ["aws sso login --profile p"]),
        ("[default]\nlogin_session = x\n", {}, ["the sign-in of the default profile"]),
        ("", {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE"}, ["environment", "AWS_SECRET_ACCESS_KEY"]),
        (
            "",
            {
                "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
                "AWS_SECRET_ACCESS_KEY": "own-secret",
                "AWS_CREDENTIAL_EXPIRATION": "soon",
            },
            ["environment", "soon"],
        ),
        (
            "",
            {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:9/x"},
            ["container's credentials"],
        ),
        (
            "",
            {
                "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:9/x",
                "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": "/no/such/token",
            },
            ["container's credentials", "/no/such/token"],
        ),
    ],
)
def test_a_provider_that_fails_is_named_with_a_remedy(
    desk: Desk, config: str, env: dict[str, str], words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("botocore.utils.ContainerMetadataFetcher.SLEEP_TIME", 0)
    desk.config(config)
    desk.env(**env)
    with pytest.raises(TargetError, match="AWS credentials cannot be found: ") as raised:
        keys_to(TARGET)
    told = f"{raised.value.message} {raised.value.remedy}"
    assert all(word in told for word in words), told
    assert "\n" not in told


@pytest.mark.parametrize(
    ("answer", "words"), [(DENIED, ["AccessDenied"]), (SKEWED, ["Signature expired", "clock says"])]
)
def test_a_role_that_may_not_be_assumed_is_told_in_the_services_words(
    desk: Desk, sts: Service, answer: bytes, words: list[str]
) -> None:
    sts.answer = 403, answer
    desk.config(ROLE + OWN)
    desk.env(AWS_ENDPOINT_URL_STS=f"http://127.0.0.1:{sts.port}")
    with pytest.raises(TargetError, match="the role") as raised:
        keys_to(TARGET)
    assert all(word in raised.value.message for word in words), raised.value.message
    assert "trust policy" in raised.value.remedy


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_credentials_are_renewed_before_their_end(desk: Desk, clock: Clock) -> None:
    desk.process(given("AKIDFIRST", minutes=14))
    keys = OwnKeys(TARGET, now=clock)
    assert keys.current().access_key == "AKIDFIRST"
    desk.calls.unlink()
    desk.process(given("AKIDSECOND", minutes=60))
    for _ in range(3):
        clock.now += 6
        assert keys.current().access_key == "AKIDSECOND"
    assert desk.calls.read_text() == "x"


def test_while_they_last_a_renewal_that_fails_is_no_harm(desk: Desk, clock: Clock) -> None:
    desk.process(given("AKIDFIRST", minutes=5))
    keys = OwnKeys(TARGET, now=clock)
    first = keys.current()
    desk.calls.unlink()
    desk.process("")
    for _ in range(4):
        clock.now += 6
        assert keys.current() == first
    assert desk.calls.read_text() == "x", "a provider that fails is left in peace for a while"
    with pytest.raises(Unrenewed) as raised:
        keys.look_again(first)  # the service has had enough of them
    assert PROCESS in raised.value.message
    assert "no session here" in raised.value.message
    desk.process(given("AKIDSECOND", minutes=60))
    with pytest.raises(Unrenewed):
        keys.current()  # not asked again in the same second
    clock.now += 1
    assert keys.current().access_key == "AKIDSECOND"


def test_a_provider_that_never_answers_is_not_waited_for_for_ever(
    desk: Desk, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.process(given("AKIDFIRST", minutes=5))
    keys = OwnKeys(TARGET, now=clock)
    first = keys.current()
    monkeypatch.setattr("utils.aws.credentials._PATIENCE", 0.05)
    desk.config("[default]\ncredential_process = sleep 3\n")
    with pytest.raises(Unrenewed, match="no answer within") as raised:
        keys.look_again(first)
    assert PROCESS in raised.value.message


def test_what_has_expired_is_looked_for_where_it_came_from(desk: Desk, clock: Clock) -> None:
    desk.config(OWN.replace("profile own", "default"))
    keys = OwnKeys(TARGET, now=clock)
    first = keys.current()
    desk.config(OWN.replace("profile own", "default").replace("AKIDEXAMPLE", "AKIDOTHER"))
    keys.look_again(first._replace(access_key="AKIDLONGAGO"))
    assert keys.current() == first, "others than these have expired"
    keys.look_again(first)
    assert keys.current().access_key == "AKIDOTHER"


def test_renewed_credentials_of_another_account_are_refused(desk: Desk, clock: Clock) -> None:
    desk.process(given(minutes=5, AccountId="111122223333"))
    keys = OwnKeys(TARGET, now=clock)
    desk.process(given(minutes=60, AccountId="444455556666"))
    clock.now += 6
    with pytest.raises(TargetError, match="444455556666 instead of 111122223333"):
        keys.current()


def assumed(key: str, minutes: float) -> bytes:
    return (
        "<AssumeRoleResponse><AssumeRoleResult><Credentials>"
        f"<AccessKeyId>{key}</AccessKeyId><SecretAccessKey>role-secret</SecretAccessKey>"
        f"<SessionToken>role-token</SessionToken><Expiration>{in_minutes(minutes)}</Expiration>"
        "</Credentials><AssumedRoleUser><Arn>arn:aws:sts::111122223333:assumed-role/migrator/x"
        "</Arn><AssumedRoleId>A:x</AssumedRoleId></AssumedRoleUser>"
        "</AssumeRoleResult></AssumeRoleResponse>"
    ).encode()


def test_a_code_is_asked_for_once(
    desk: Desk, sts: Service, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def answer(question: str) -> str:
        asked.append(question)
        return "123456"

    monkeypatch.setattr(getpass, "getpass", answer)
    sts.answer = 200, assumed("AKIDROLE", 5)
    desk.config(ROLE + "mfa_serial = arn:aws:iam::111122223333:mfa/ann\n" + OWN)
    desk.env(AWS_ENDPOINT_URL_STS=f"http://127.0.0.1:{sts.port}")
    keys = OwnKeys(TARGET, now=clock)
    first = keys.current()
    for _ in range(3):
        clock.now += 40
        assert keys.current() == first
    with pytest.raises(Unrenewed, match="MFA"):
        keys.look_again(first)
    assert len(asked) == 1
    assert b"TokenCode=123456" in sts.arrived[0].body


def test_what_is_at_work_beside_the_run_asks_for_no_code_and_uses_that_of_the_run(
    desk: Desk, sts: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def answer(question: str) -> str:
        asked.append(question)
        return "123456"

    monkeypatch.setattr(getpass, "getpass", answer)
    sts.answer = 200, assumed("AKIDROLE", 60)
    desk.config(ROLE + "mfa_serial = arn:aws:iam::111122223333:mfa/ann\n" + OWN)
    desk.env(
        AWS_ENDPOINT_URL_STS=f"http://127.0.0.1:{sts.port}",
        AWS_ENDPOINT_URL_CLOUDWATCH_LOGS=f"http://127.0.0.1:{sts.port}",
    )

    def beside() -> object:
        ask_nothing()
        logs: Any = open_service(TARGET, "logs")
        try:
            logs.create_log_group(logGroupName="/migration/s9")
        except TargetError as error:
            return error.message
        return None

    with ThreadPoolExecutor(1) as pool:
        assert "which a run asks for when it first uses the target" in str(
            pool.submit(beside).result()
        )
        assert asked == []
        keys_to(TARGET).current()
        sts.answer = 200, b"{}"
        assert pool.submit(beside).result() is None
    assert len(asked) == 1
    assert "Credential=AKIDROLE/" in sts.arrived[-1].headers["Authorization"]


LOCAL = TargetConfig(use_local_stack=True, endpoint="http://127.0.0.1:9")
HERE = "[default]\nservices = here\n[services here]\ncloudwatch_logs =\n  endpoint_url = http://h\n"


@pytest.mark.parametrize(
    ("target", "config", "env", "expected"),
    [
        (TARGET, "", {}, "https://logs.eu-west-1.amazonaws.com"),
        (TARGET, HERE, {}, "http://h"),
        (TARGET, "", {"AWS_ENDPOINT_URL": "http://all"}, "http://all"),
        (LOCAL, "", {"AWS_ENDPOINT_URL": "http://all"}, "http://127.0.0.1:9"),
        (LOCAL, HERE, {}, "http://127.0.0.1:9"),  # whose profile belongs to a real account
        (LOCAL, "", {"AWS_ENDPOINT_URL_CLOUDWATCH_LOGS": "http://logs"}, "http://logs"),
        (replace(LOCAL, use_local_stack=False), HERE, {}, "http://h"),
        (
            replace(LOCAL, use_local_stack=False),
            HERE,
            {"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"},
            "http://127.0.0.1:9",
        ),
        (
            TargetConfig(endpoint="https://vpce-1.dynamodb.eu-west-1.vpce.amazonaws.com"),
            "",
            {},
            "https://logs.eu-west-1.amazonaws.com",
        ),
    ],
)
def test_another_service_is_where_the_target_is_unless_it_has_a_place_of_its_own(
    desk: Desk, target: TargetConfig, config: str, env: dict[str, str], expected: str
) -> None:
    desk.config(config)
    desk.env(**env)
    assert open_service(target, "logs").meta.endpoint_url == expected


def test_without_a_terminal_a_code_that_is_wanted_is_told(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nobody(_question: str) -> str:
        raise EOFError

    monkeypatch.setattr(getpass, "getpass", nobody)
    desk.config(ROLE + "mfa_serial = arn:aws:iam::111122223333:mfa/ann\n" + OWN)
    with pytest.raises(TargetError, match="there is no terminal to type it in"):
        keys_to(TARGET)


def in_use(expired: ReadOnlyCredentials | None) -> tuple[str, str]:
    """What the process that does this uses, and how it came by it."""
    keys = keys_to(TARGET)
    if expired is not None:
        keys.look_again(expired)
    return str(keys.current().access_key), type(keys).__name__


def test_other_processes_ask_the_first_for_credentials(desk: Desk) -> None:
    desk.process(given("AKIDFIRST"))
    first = keys_to(TARGET).current()
    assert keys_to(replace(TARGET, sales_table="Other")).current() is first
    with Workers(2) as workers:
        found = set(workers.in_order(in_use, [None] * 4))
        assert found == {("AKIDFIRST", AskedKeys.__name__)}
        assert desk.calls.read_text() == "x"
        desk.process(given("AKIDSECOND"))
        assert {key for key, _ in workers.in_order(in_use, [first] * 4)} == {"AKIDSECOND"}
        assert desk.calls.read_text() == "xx", "what was renewed for one is there for all"
        desk.process("")
        keys_to(TARGET)._sought_at = -1e9  # type: ignore[attr-defined] # it is not to rest
        second = keys_to(TARGET).current()
        with pytest.raises(Unrenewed) as raised:
            list(workers.in_order(in_use, [second] * 4))
    assert "no session here" in raised.value.message
    assert "by hand" in raised.value.remedy


def test_a_process_asks_again_from_time_to_time(
    desk: Desk, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter(["AKIDFIRST", "AKIDSECOND"])

    def ask(_function: Callable[..., object], *_: object) -> ReadOnlyCredentials:
        return ReadOnlyCredentials(next(answers), "secret", None, None)

    monkeypatch.setattr("utils.aws.credentials.in_the_first", ask)
    keys = AskedKeys(TARGET, now=clock)
    clock.now = 19
    assert keys.current().access_key == "AKIDFIRST"
    clock.now = 21
    assert keys.current().access_key == "AKIDSECOND"
