"""Where botocore's own client goes the wire goes, too, and with the same request.

Each configuration is used by both, over real sockets, and what arrived is compared; what must
arrive is in the table as well, so that both cannot be wrong in the same way.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from tests.support.aws.sigv4 import verify
from tests.support.aws.ways import Arrived, Service, World, led_to, nothing_kept, read_once
from tests.support.certificates import DAY, NOW, Authority
from utils.config import TargetConfig
from utils.dynamodb.client import DynamoDB
from utils.error_handler import BackOff
from utils.version import VERSION

SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
KEYS = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": SECRET}
ACCOUNT = "123456789012"
# Headers that say who asks how often, or how the connection is used: they decide nothing.
BUNDLES = ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE")
IDLE = {"amz-sdk-invocation-id", "amz-sdk-request", "user-agent", "authorization", "x-amz-date"}
OURS, TUNNEL, WITH_NAME = "http://127.0.0.1:{plain}", "http://127.0.0.1:{proxy}", "ann:p%40ss"


@dataclass(frozen=True)
class Case:
    """One configuration: `env` and `config` (AWS's file), with {names} of what the test has;
    `host` and `path` are what must arrive, `region` what it must be signed for."""

    name: str
    host: str
    env: dict[str, str] = field(default_factory=dict)
    config: str = ""
    target: dict[str, Any] = field(default_factory=dict)
    path: str = "/"
    region: str = "eu-west-1"
    refused: str = ""  # why, where the certificate is not accepted
    proxied: str = ""  # what the proxy must be asked
    token: str = ""


EU = "dynamodb.eu-west-1.amazonaws.com"
BY_ACCOUNT = {"AWS_ACCOUNT_ID": ACCOUNT}
TRUST = {"AWS_CA_BUNDLE": "{ca}"}
PROXY = {**TRUST, "HTTPS_PROXY": TUNNEL}
CONNECT = f"CONNECT {EU}:443 HTTP/1."

ENDPOINTS = [
    Case("the usual one", EU),
    Case(
        "another region",
        "dynamodb.us-east-1.amazonaws.com",
        target={"region": "us-east-1"},
        region="us-east-1",
    ),
    Case(
        "China",
        "dynamodb.cn-north-1.amazonaws.com.cn",
        target={"region": "cn-north-1"},
        region="cn-north-1",
    ),
    Case("no region of the environment", EU, {"AWS_REGION": "us-west-2"}),
    Case("no region of a profile", EU, config="[default]\nregion = us-west-2\n"),
    Case("DynamoDB local", "localhost:8000", target={"region": "local"}, region="us-east-1"),
    Case("dual-stack", "dynamodb.eu-west-1.api.aws", {"AWS_USE_DUALSTACK_ENDPOINT": "true"}),
    Case(
        "dual-stack of a profile",
        "dynamodb.eu-west-1.api.aws",
        config="[default]\nuse_dualstack_endpoint = true\n",
    ),
    Case(
        "FIPS",
        "dynamodb-fips.us-east-1.amazonaws.com",
        {"AWS_USE_FIPS_ENDPOINT": "true"},
        target={"region": "us-east-1"},
        region="us-east-1",
    ),
    Case(
        "FIPS of a profile",
        "dynamodb-fips.us-east-1.amazonaws.com",
        config="[default]\nuse_fips_endpoint = true\n",
        target={"region": "us-east-1"},
        region="us-east-1",
    ),
    Case(
        "FIPS, dual-stack",
        "dynamodb-fips.us-east-1.api.aws",
        {"AWS_USE_FIPS_ENDPOINT": "true", "AWS_USE_DUALSTACK_ENDPOINT": "true"},
        target={"region": "us-east-1"},
        region="us-east-1",
    ),
    Case(
        "FIPS of the government",
        "dynamodb.us-gov-west-1.amazonaws.com",
        {"AWS_USE_FIPS_ENDPOINT": "true"},
        target={"region": "us-gov-west-1"},
        region="us-gov-west-1",
    ),
    Case("by account", f"{ACCOUNT}.ddb.eu-west-1.amazonaws.com", BY_ACCOUNT),
    Case(
        "by a profile's account",
        f"{ACCOUNT}.ddb.eu-west-1.amazonaws.com",
        {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""},
        f"[default]\naws_access_key_id = AKIDEXAMPLE\naws_secret_access_key = {SECRET}\n"
        f"aws_account_id = {ACCOUNT}\n",
    ),
    Case("not by account", EU, {**BY_ACCOUNT, "AWS_ACCOUNT_ID_ENDPOINT_MODE": "disabled"}),
    Case(
        "by account only",
        f"{ACCOUNT}.ddb.eu-west-1.amazonaws.com",
        {**BY_ACCOUNT, "AWS_ACCOUNT_ID_ENDPOINT_MODE": "required"},
    ),
    Case(
        "not by account of a profile",
        EU,
        BY_ACCOUNT,
        "[default]\naccount_id_endpoint_mode = disabled\n",
    ),
    Case(
        "by account, dual-stack",
        f"{ACCOUNT}.ddb.eu-west-1.api.aws",
        {**BY_ACCOUNT, "AWS_USE_DUALSTACK_ENDPOINT": "true"},
    ),
    Case(
        "by account, FIPS",
        "dynamodb-fips.us-east-1.amazonaws.com",
        {**BY_ACCOUNT, "AWS_USE_FIPS_ENDPOINT": "true"},
        target={"region": "us-east-1"},
        region="us-east-1",
    ),
    Case(
        "by account, over a tunnel that spares the regional host",
        f"{ACCOUNT}.ddb.eu-west-1.amazonaws.com",
        {**BY_ACCOUNT, **PROXY, "NO_PROXY": EU},
    ),
    Case(
        "by account, a host to spare that is not asked first",
        f"{ACCOUNT}.ddb.eu-west-1.amazonaws.com",
        {**BY_ACCOUNT, **PROXY, "NO_PROXY": f"{ACCOUNT}.ddb.eu-west-1.amazonaws.com"},
        proxied=f"CONNECT {ACCOUNT}.ddb.eu-west-1.amazonaws.com:443 HTTP/1.",
    ),
    Case("a token", EU, {"AWS_SESSION_TOKEN": "FwoGZXIvYXdz/+=="}, token="FwoGZXIvYXdz/+=="),
    Case("an application's name", EU, {"AWS_SDK_UA_APP_ID": "erp-7"}),
]
URLS = [
    Case("a URL", "127.0.0.1:{plain}", {"AWS_ENDPOINT_URL": OURS}),
    Case(
        "a URL with a path", "127.0.0.1:{plain}", {"AWS_ENDPOINT_URL": f"{OURS}/aws"}, path="/aws"
    ),
    Case(
        "a path with a stroke",
        "127.0.0.1:{plain}",
        {"AWS_ENDPOINT_URL": f"{OURS}/aws/"},
        path="/aws/",
    ),
    Case(
        "a path with a blank",
        "127.0.0.1:{plain}",
        {"AWS_ENDPOINT_URL": f"{OURS}/a%20b/c~d"},
        path="/a%20b/c~d",
    ),
    Case(
        "a URL with a question",
        "127.0.0.1:{plain}",
        {"AWS_ENDPOINT_URL": f"{OURS}/aws?b=2&a=%C3%A8"},
        path="/aws?b=2&a=%C3%A8",
    ),
    Case(
        "a URL of this service",
        "127.0.0.1:{plain}",
        {"AWS_ENDPOINT_URL": "http://other.example", "AWS_ENDPOINT_URL_DYNAMODB": OURS},
    ),
    Case("a URL of another service", EU, {"AWS_ENDPOINT_URL_S3": OURS}),
    Case(
        "a profile's URL",
        "127.0.0.1:{plain}",
        config=f"[default]\nendpoint_url = {OURS}/p\n",
        path="/p",
    ),
    Case(
        "a profile's services",
        "127.0.0.1:{plain}",
        config="[default]\nservices = ours\nendpoint_url = http://other.example\n"
        f"[services ours]\ndynamodb =\n  endpoint_url = {OURS}/s\n",
        path="/s",
    ),
    Case(
        "a profile of target.profile",
        "127.0.0.1:{plain}",
        {"AWS_PROFILE": "other", "AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""},
        f"[profile ours]\nendpoint_url = {OURS}\naws_access_key_id = AKIDEXAMPLE\n"
        f"aws_secret_access_key = {SECRET}\n[profile other]\nendpoint_url = http://other.example\n",
        target={"profile": "ours"},
    ),
    Case(
        "the environment before the profile",
        "127.0.0.1:{plain}",
        {"AWS_ENDPOINT_URL": f"{OURS}/e"},
        f"[default]\nendpoint_url = {OURS}/p\n",
        path="/e",
    ),
    Case(
        "configured URLs ignored",
        EU,
        {"AWS_ENDPOINT_URL": OURS, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"},
    ),
    Case(
        "configured URLs ignored by the profile",
        EU,
        {"AWS_ENDPOINT_URL": OURS},
        "[default]\nignore_configured_endpoint_urls = true\n",
    ),
    Case(
        "target.endpoint",
        "127.0.0.1:{plain}",
        {"AWS_ENDPOINT_URL": "http://other.example"},
        target={"endpoint": f"{OURS}/ours"},
        path="/ours",
    ),
    Case(
        "target.endpoint and FIPS",
        "127.0.0.1:{plain}",
        {"AWS_USE_FIPS_ENDPOINT": "true"},
        target={"endpoint": OURS},
    ),
    Case("target.endpoint by account", "127.0.0.1:{plain}", BY_ACCOUNT, target={"endpoint": OURS}),
    Case(
        "a name in capitals, the usual port",
        "tables.example",
        {"AWS_ENDPOINT_URL": "http://Tables.Example:80/"},
    ),
    Case(
        "the usual port of TLS",
        "tables.example",
        {**TRUST, "AWS_ENDPOINT_URL": "https://tables.example:443"},
    ),
    Case("an address of six", "[::1]:4566", {"AWS_ENDPOINT_URL": "http://[::1]:4566"}),
]
PROXIES = [
    Case("a tunnel", EU, PROXY, proxied=CONNECT),
    Case(
        "a tunnel for a name",
        EU,
        {**TRUST, "HTTPS_PROXY": "http://ann:p%40ss@127.0.0.1:{proxy}"},
        proxied=CONNECT,
    ),
    Case(
        "a tunnel without its scheme",
        EU,
        {**TRUST, "HTTPS_PROXY": "127.0.0.1:{proxy}"},
        proxied=CONNECT,
    ),
    Case(
        "small letters first",
        EU,
        {**TRUST, "HTTPS_PROXY": "http://127.0.0.1:9", "https_proxy": TUNNEL},
        proxied=CONNECT,
    ),
    Case("no tunnel for this host", EU, {**PROXY, "NO_PROXY": EU}),
    Case("no tunnel for its domain", EU, {**PROXY, "NO_PROXY": "a.example,.amazonaws.com"}),
    Case("no tunnel at all", EU, {**PROXY, "no_proxy": "*"}),
    Case(
        "a tunnel for this host", EU, {**PROXY, "NO_PROXY": "dynamodb.eu-west-1"}, proxied=CONNECT
    ),
    Case("ALL_PROXY means nothing", EU, {**TRUST, "ALL_PROXY": "http://127.0.0.1:9"}),
    Case("HTTP_PROXY is not for TLS", EU, {**TRUST, "HTTP_PROXY": "http://127.0.0.1:9"}),
    Case(
        "a proxy before a server without TLS",
        "tables.example:8000",
        {"HTTP_PROXY": TUNNEL, "AWS_ENDPOINT_URL": "http://tables.example:8000/aws"},
        path="/aws",
        proxied="POST http://tables.example:8000/aws HTTP/1.1",
    ),
    Case(
        "such a proxy for a name",
        "tables.example:8000",
        {
            "HTTP_PROXY": "http://ann:p%40ss@127.0.0.1:{proxy}",
            "AWS_ENDPOINT_URL": "http://tables.example:8000",
        },
        proxied="POST http://tables.example:8000/ HTTP/1.1",
    ),
    Case(
        "a tunnel behind TLS",
        EU,
        {**TRUST, "HTTPS_PROXY": "https://proxy.tls.example:8443"},
        proxied=CONNECT,
    ),
    Case(
        "a proxy whose certificate is another's",
        EU,
        {**TRUST, "HTTPS_PROXY": "https://other.tls.example:8443"},
        refused="match",
    ),
]
CERTIFICATES = [
    Case("AWS_CA_BUNDLE", EU, TRUST),
    Case("REQUESTS_CA_BUNDLE", EU, {"REQUESTS_CA_BUNDLE": "{ca}"}),
    Case("AWS_CA_BUNDLE first", EU, {**TRUST, "REQUESTS_CA_BUNDLE": "{other}"}),
    Case("a profile's ca_bundle", EU, config="[default]\nca_bundle = {ca}\n"),
    Case(
        "a profile's ca_bundle first",
        EU,
        {"REQUESTS_CA_BUNDLE": "{other}"},
        "[default]\nca_bundle = {ca}\n",
    ),
    Case("AWS_CA_BUNDLE before a profile's", EU, TRUST, "[default]\nca_bundle = {other}\n"),
    Case("the usual authorities", EU, {"NO_CA_BUNDLE": ""}, refused="local issuer"),
    Case("another authority", EU, {"AWS_CA_BUNDLE": "{other}"}, refused="local issuer"),
]
# Certificates of a server, and what is asked of it: the name, and why it is refused.
NAMES: list[tuple[str, dict[str, Any], str, str]] = [
    ("its name", {"names": ["tables.example"]}, "tables.example", ""),
    ("one of its names", {"names": ["a.example", "tables.example"]}, "tables.example", ""),
    ("any name of its domain", {"names": ["*.example"]}, "tables.example", ""),
    ("no deeper name", {"names": ["*.example"]}, "a.tables.example", "match"),
    ("another name", {"names": ["other.example"]}, "tables.example", "match"),
    ("its address", {"names": ["10.1.2.3"]}, "10.1.2.3", ""),
    ("an address that it has as a name", {"names": ["tables.example"]}, "10.1.2.3", "match"),
    (
        "a common name alone",
        {"names": [], "common_name": "tables.example"},
        "tables.example",
        "",
    ),
    ("yesterday's", {"names": ["tables.example"], "ends": NOW - DAY}, "tables.example", "expired"),
    (
        "tomorrow's",
        {"names": ["tables.example"], "begins": NOW + DAY},
        "tables.example",
        "not yet valid",
    ),
]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("other"), "other")


AWS = (
    "*.eu-west-1.amazonaws.com",
    "*.us-east-1.amazonaws.com",
    "*.cn-north-1.amazonaws.com.cn",
    "*.us-gov-west-1.amazonaws.com",
    "*.ddb.eu-west-1.amazonaws.com",
    "*.eu-west-1.api.aws",
    "*.us-east-1.api.aws",
    "*.ddb.eu-west-1.api.aws",
    "tables.example",
)


@dataclass
class Stage:
    """All servers, and both clients that are let loose on them."""

    world: World
    proxy: Service
    names: dict[str, object]
    directory: Path

    def environment(self, case: Case, patch: pytest.MonkeyPatch) -> TargetConfig:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", *BUNDLES):
            patch.delenv(name, raising=False)
            patch.delenv(name.lower(), raising=False)
        file = self.directory / "aws-config"
        file.write_text(case.config.format_map(self.names))
        usual = {
            "AWS_CONFIG_FILE": str(file),
            "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
            "AWS_EC2_METADATA_DISABLED": "true",
            **KEYS,
        }
        if "ca_bundle" not in case.config and "CA_BUNDLE" not in str(case.env):
            usual["AWS_CA_BUNDLE"] = str(self.names["ca"])
        for name, value in {**usual, **case.env}.items():
            patch.setenv(name, value.format_map(self.names))
        target = {name: str(value).format_map(self.names) for name, value in case.target.items()}
        return TargetConfig(**target)  # type: ignore[arg-type] # all of them are texts

    def seen(
        self, *, proxied: bool = False
    ) -> tuple[list[Arrived], list[Arrived], list[tuple[str, int]]]:
        """What has arrived since: at the service, at the proxy; and where connections went. A proxy
        that is told the whole URL has the request itself."""
        asked = self.world.plain.arrived + self.world.encrypted.arrived
        at_proxy = list(self.proxy.arrived)
        found = (asked or at_proxy if proxied else asked), at_proxy, list(self.world.opened)
        for noted in (self.world.plain, self.world.encrypted, self.proxy):
            noted.arrived.clear()
        self.world.opened.clear()
        return found


@pytest.fixture(scope="module")
def files_read_once() -> Iterator[None]:
    with read_once():
        yield


@pytest.fixture(scope="module")
def servers(authority: Authority, files_read_once: None) -> Iterator[tuple[World, Service]]:
    with ExitStack() as opened:

        def start(*arguments: Any, **more: Any) -> Service:
            service = Service(*arguments, **more)
            opened.callback(service.close)
            return service

        encrypted = start(authority.context(*AWS))
        proxy = start(onward=encrypted)
        behind_tls = start(authority.context("proxy.tls.example"), onward=encrypted)
        behind_tls.arrived = proxy.arrived
        yield World(start(), encrypted, behind_tls), proxy


@pytest.fixture
def stage(
    servers: tuple[World, Service], authority: Authority, other: Authority, tmp_path: Path
) -> Iterator[Stage]:
    world, proxy = servers
    names = {
        "plain": world.plain.port,
        "proxy": proxy.port,
        "ca": authority.file,
        "other": other.file,
    }

    with nothing_kept(), led_to(world):
        stage = Stage(world, proxy, names, tmp_path)
        stage.seen()
        yield stage


def by_botocore(target: TargetConfig) -> None:
    """As any program would do it."""
    session = boto3.Session(profile_name=target.profile)
    once = Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=5)
    client: Any = session.client(
        "dynamodb", region_name=target.region, endpoint_url=target.endpoint_url, config=once
    )
    client.list_tables()


def by_the_wire(target: TargetConfig) -> None:
    assert DynamoDB(target).call("ListTables", b"{}") == b"{}"


def told(request: Arrived) -> tuple[str, dict[str, str], bytes]:
    """What of a request counts."""
    headers = {name.lower(): value for name, value in request.headers.items()}
    return request.line, {n: v for n, v in headers.items() if n not in IDLE}, request.body


def signed(request: Arrived) -> dict[str, str]:
    target = request.line.split(" ")[1]
    what = verify(target, request.headers, request.body, secret=SECRET)
    return {name: what[name] for name in ("key", "region", "service", "signed")}


@pytest.mark.parametrize(
    "case", ENDPOINTS + URLS + PROXIES + CERTIFICATES, ids=lambda case: case.name
)
def test_the_wire_goes_where_botocore_goes(
    case: Case, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    compare(case, stage, monkeypatch)


def compare(case: Case, stage: Stage, patch: pytest.MonkeyPatch) -> None:
    target = stage.environment(case, patch)
    if case.refused:
        with pytest.raises(BotoCoreError):
            by_botocore(target)
        theirs = stage.seen()
        with pytest.raises(BackOff, match=case.refused):
            by_the_wire(target)
        assert stage.seen() == theirs
        assert theirs[0] == []
        return
    by_botocore(target)
    (asked,), at_their_proxy, they_opened = stage.seen(proxied=bool(case.proxied))
    by_the_wire(target)
    (ours,), at_our_proxy, we_opened = stage.seen(proxied=bool(case.proxied))
    assert told(ours) == told(asked)
    assert signed(ours) == signed(asked)
    assert we_opened == they_opened
    assert list(map(told, at_our_proxy)) == list(map(told, at_their_proxy))
    # And that is right.
    sent = {name.lower(): value for name, value in ours.headers.items()}
    assert sent["host"] == case.host.format_map(stage.names)
    assert signed(ours)["region"] == case.region
    assert sent.get("x-amz-security-token", "") == case.token
    assert sent["user-agent"].startswith(f"s9-to-sale-module/{VERSION} ")
    assert ("app/erp-7" in sent["user-agent"]) == ("AWS_SDK_UA_APP_ID" in case.env)
    if not case.proxied:
        assert ours.line == f"POST {case.path} HTTP/1.1"
        assert not at_our_proxy
    else:
        assert at_our_proxy[0].line.startswith(case.proxied)
        named = any("ann:" in value for value in case.env.values())
        assert ("Proxy-Authorization" in at_our_proxy[0].headers) == named


@pytest.mark.parametrize(
    ("what", "certificate", "host", "refused"), NAMES, ids=[each[0] for each in NAMES]
)
def test_a_certificate_is_good_for_the_wire_where_it_is_good_for_botocore(
    what: str,
    certificate: dict[str, Any],
    host: str,
    refused: str,
    stage: Stage,
    authority: Authority,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names: list[str] = certificate["names"]
    more: dict[str, Any] = {key: value for key, value in certificate.items() if key != "names"}
    service = Service(authority.context(*names, **more))
    monkeypatch.setattr(stage.world, "encrypted", service)
    case = Case(what, host, {**TRUST, "AWS_ENDPOINT_URL": f"https://{host}"}, refused=refused)
    try:
        compare(case, stage, monkeypatch)
    finally:
        service.close()
