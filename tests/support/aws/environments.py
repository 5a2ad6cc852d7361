"""Random environments and configuration files of AWS's: each is used as botocore uses it, or
refused in one sentence with a remedy. Nothing else may come of them, and no secret is told.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

import botocore.session
from botocore.config import Config

from tests.support.aws.ways import nothing_kept, read_once
from utils.aws.access import access_to
from utils.config import TargetConfig
from utils.dynamodb.client import DynamoDB
from utils.error_handler import TargetError

SECRET = "hunter22-hunter22"
_USUAL = {
    "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": SECRET,
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_MAX_ATTEMPTS": "1",
    "AWS_ENDPOINT_URL_STS": "http://127.0.0.1:9",
}
_FLAGS = ("true", "false", "TRUE", "1", "x", "")
_URLS = (
    "http://127.0.0.1:9",
    "http://127.0.0.1:9/aws",
    "https://tables.example/a/b/",
    "http://local_stack:4566",
    "http://h:99999",
    "http://h:x",
    "h:4566",
    "http://",
    "http://[::1",
    "http://[::1]:80",
    f"http://ann:{SECRET}@h",
    "http://h/a b",
    "http://h/è",
    "http://è.example",
    "http://h?x=1&y",
    "http://h/#x",
    "ftp://h",
    "http://h..x",
    "//h",
    "x",
    "",
    " ",
    "http://h/%",
    "http://h/%zz/../..//x",
    "HTTP://H",
)
_PROXIES = (
    "http://127.0.0.1:9",
    "127.0.0.1:9",
    f"http://ann:{SECRET}@p:3128",
    f"http://ann:è{SECRET}@p:3128",
    "https://p:3129",
    "socks5://p:1",
    "socks5h://p",
    "http://p:x",
    "http://p:99999",
    "http://",
    "http://ann@p",
    "http://[::1",
    "//p:1",
    "x y",
    "è",
    "http://p/path?x",
)
_FILES = ("/nonexistent", "/", "/dev/null", "/etc/hostname", "", " ", "~/x", "è")
_ENVIRONMENT: dict[str, tuple[str, ...]] = {
    "AWS_ENDPOINT_URL": _URLS,
    "AWS_ENDPOINT_URL_DYNAMODB": _URLS,
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": _FLAGS,
    "AWS_USE_FIPS_ENDPOINT": _FLAGS,
    "AWS_USE_DUALSTACK_ENDPOINT": _FLAGS,
    "AWS_ACCOUNT_ID": ("123456789012", "x", "", "è", "1/2"),
    "AWS_ACCOUNT_ID_ENDPOINT_MODE": ("preferred", "required", "disabled", "x", ""),
    "AWS_REGION": ("us-east-1", "x y", ""),
    "HTTP_PROXY": _PROXIES,
    "HTTPS_PROXY": _PROXIES,
    "https_proxy": _PROXIES,
    "NO_PROXY": ("*", "127.0.0.1", "h", ".amazonaws.com", "è", ""),
    "AWS_CA_BUNDLE": _FILES,
    "REQUESTS_CA_BUNDLE": _FILES,
    "AWS_PROFILE": ("p", "nobody", ""),
    "AWS_DEFAULT_PROFILE": ("p", "nobody"),
    "AWS_SESSION_TOKEN": ("token", "è", "a\nb", ""),
    "AWS_ACCESS_KEY_ID": ("", "AKID/X", "è", "a,b"),
    "AWS_SECRET_ACCESS_KEY": ("",),
    "AWS_CREDENTIAL_EXPIRATION": ("x", "2020-01-01T00:00:00Z", "2099-01-01T00:00:00Z"),
    "AWS_ROLE_ARN": ("arn:aws:iam::1:role/x", "x"),
    "AWS_WEB_IDENTITY_TOKEN_FILE": _FILES,
    "AWS_DEFAULTS_MODE": ("standard", "x"),
    "AWS_RETRY_MODE": ("x", "adaptive"),
    "AWS_STS_REGIONAL_ENDPOINTS": ("x", "legacy"),
    "AWS_SDK_UA_APP_ID": ("erp", "è", "x" * 60, "a b"),
    "AWS_METADATA_SERVICE_TIMEOUT": ("x", "1"),
    "AWS_AUTH_SCHEME_PREFERENCE": ("sigv4a", "x", "noAuth"),
    "AWS_REQUEST_CHECKSUM_CALCULATION": ("x", "when_required"),
    "AWS_CONFIG_FILE": ("/nonexistent", "/", "/dev/null", "/etc/passwd"),
    "AWS_DATA_PATH": ("/nonexistent", "è"),
}
_LINES = (
    *(f"endpoint_url = {url}" for url in _URLS),
    *(f"ca_bundle = {path}" for path in _FILES),
    *(f"use_fips_endpoint = {flag}" for flag in _FLAGS),
    *(f"use_dualstack_endpoint = {flag}" for flag in _FLAGS),
    "services = ours",
    "services = nobody",
    "ignore_configured_endpoint_urls = true",
    "account_id_endpoint_mode = required",
    "account_id_endpoint_mode = x",
    "aws_account_id = 123456789012",
    "aws_access_key_id = AKIDPROFILE",
    f"aws_secret_access_key = {SECRET}",
    "credential_process = false",
    "credential_process = echo {}",
    "credential_process = /nonexistent",
    "role_arn = arn:aws:iam::1:role/x",
    "source_profile = p",
    "source_profile = nobody",
    "credential_source = Environment",
    "credential_source = x",
    "web_identity_token_file = /nonexistent",
    "mfa_serial = x",
    "duration_seconds = x",
    "sso_session = corp",
    "sso_account_id = 1",
    "sso_role_name = x",
    "login_session = x",
    "dynamodb =\n  signature_version = v2",
    "dynamodb =\n  signature_version = x",
    "dynamodb = x",
    "tcp_keepalive = true",
    "tcp_keepalive = x",
    "parameter_validation = x",
    "retry_mode = x",
    "max_attempts = x",
    "api_versions =\n  dynamodb = 2011-12-05",
    "api_versions =\n  dynamodb = x",
    "api_versions = x",
    "region = è",
    "nonsense",
    " = x",
    "[",
)
_SECTIONS = (
    "[default]",
    "[profile p]",
    "[services ours]\ndynamodb =\n  endpoint_url = http://s.example",
)


def environment(chance: Random, directory: Path) -> dict[str, str]:
    """Some variables, and a configuration file."""
    found = dict(_USUAL)
    for name in chance.sample(sorted(_ENVIRONMENT), chance.choice((0, 1, 2, 3, 5))):
        found[name] = chance.choice(_ENVIRONMENT[name])
    parts = []
    for section in chance.sample(_SECTIONS, chance.choice((0, 1, 1, 2, 3))):
        parts += [section, *chance.sample(_LINES, chance.choice((1, 1, 2, 3)))]
    file = directory / "config"
    file.write_text("\n".join(parts) + "\n")
    return {
        "AWS_CONFIG_FILE": str(file),
        "AWS_SHARED_CREDENTIALS_FILE": str(directory / "none"),
        "HOME": str(directory),
        "PATH": os.environ["PATH"],
        **found,
    }


@contextmanager
def _in(environ: dict[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(environ)
    try:
        with nothing_kept():
            yield
    finally:
        os.environ.clear()
        os.environ.update(before)


class _Taken(Exception):
    def __init__(self, request: Any) -> None:
        super().__init__()
        self.request = request


def _of_botocore(target: TargetConfig) -> Any:
    """A request as botocore's own client would send it."""

    def take(request: Any, **_: object) -> None:
        raise _Taken(request)

    core = botocore.session.Session(profile=target.profile)
    core.set_config_variable("region", target.region)
    client: Any = core.create_client(
        "dynamodb",
        region_name=target.region,
        endpoint_url=target.endpoint_url,
        config=Config(retries={"mode": "standard", "total_max_attempts": 1}),
    )
    client.meta.events.register("before-send.dynamodb", take)
    try:
        client.list_tables()
    except _Taken as taken:
        return taken.request
    raise AssertionError("a request was sent")


def _wrong(target: TargetConfig) -> str:
    """What is wrong with what becomes of an environment, "" for nothing."""
    try:
        DynamoDB(target)
    except TargetError as refused:
        told = f"{refused.message} {refused.remedy}"
        if not refused.remedy or "hunter" in told or "\n" in refused.message:
            return f"badly told: {told}"
        return ""
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    access = access_to(target)
    theirs = _of_botocore(target)
    scope = f"/{access.region}/{access.service}/aws4_request".encode()
    if access.url != theirs.url or scope not in theirs.headers["Authorization"]:
        return f"{access} instead of {theirs.url}"
    return ""


def environments_that_fail(directory: Path, seed: int, cases: int) -> Iterator[str]:
    """What became of those of so many random environments of which nothing good came."""
    with read_once():
        for number in range(cases):
            environ = environment(Random(f"{seed} {number}"), directory)
            config = (directory / "config").read_text()
            with _in(environ):
                if wrong := _wrong(TargetConfig()):
                    yield f"{number}: {wrong}\n{environ}\n{config}"
