"""How a target is reached: one resolution for all requests of a run, botocore's own.

botocore's client is asked, by having it prepare a request that is taken from it before it is sent:
its URL, what it is signed for and its User-Agent are what the wire's requests have, too. From the
same client come the proxy, the certificates to trust and the options of a socket. So whatever
botocore heeds (AWS_ENDPOINT_URL…, `services` sections, endpoints by account, dual-stack, FIPS,
proxies, certificates) holds for the wire as well. What the wire cannot do is refused here, by name,
before anything is asked for. The first process finds it out for all of a run.
"""

from __future__ import annotations

import os
import re
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any
from urllib.parse import unquote

from botocore.httpsession import ProxyConfiguration, get_cert_path
from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

from utils.aws.credentials import keys_to
from utils.aws.errors import in_short, shortened, target_errors
from utils.aws.session import open_dynamodb, session_of
from utils.config import TargetConfig
from utils.error_handler import TargetError
from utils.processes.first_process import in_the_first
from utils.wording.invocation import again
from utils.wording.masking import conceal

_SCOPE = re.compile(r"AWS4-HMAC-SHA256 Credential=.*/\d{8}/([^/]+)/([^/]+)/aws4_request,")
_SENDABLE = re.compile(r"[!-~]+")
# What of the environment and of a profile of AWS's configuration has a say in where requests go.
_VARIABLES = (
    "AWS_ENDPOINT_URL_DYNAMODB",
    "AWS_ENDPOINT_URL",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
    "AWS_ACCOUNT_ID_ENDPOINT_MODE",
    "AWS_USE_DUALSTACK_ENDPOINT",
    "AWS_USE_FIPS_ENDPOINT",
)
_OF_A_PROFILE = (
    "services",
    "endpoint_url",
    "ignore_configured_endpoint_urls",
    "account_id_endpoint_mode",
    "use_dualstack_endpoint",
    "use_fips_endpoint",
)


@dataclass(frozen=True)
class Access:
    """How requests go to a target. `url` is the whole URL of every request; `region` and `service`
    are what it is signed for; `certificates` is the file of authorities to trust, True for the
    usual ones; `settings` are what has a say in all that, for whoever has to fix it."""

    url: str
    region: str
    service: str
    user_agent: str
    proxy: str | None = field(repr=False)
    certificates: str | bool
    socket_options: tuple[tuple[int, int, int], ...]
    settings: tuple[str, ...] = ()

    @property
    def endpoint(self) -> str:
        """The URL without a last stroke, as manifest and messages have it."""
        return self.url.rstrip("/")


_lock = threading.RLock()
_found: dict[TargetConfig, Access] = {}


def access_to(target: TargetConfig) -> Access:
    """How a target is reached in this run. Raises TargetError for settings that cannot be used,
    and when there are no credentials."""
    with _lock:
        if target not in _found:
            _found[target] = in_the_first(_resolved, target)
            _hide_password(_found[target].proxy)
        return _found[target]


def forget_access() -> None:
    """Forget how every target is reached: the next run of this process begins."""
    _found.clear()


def _resolved(target: TargetConfig) -> Access:
    with _lock:
        if target in _found:
            return _found[target]
        keys_to(target)
        settings = _Settings(target)
        with settings.named(), target_errors(target):
            client: Any = open_dynamodb(target)
            request = _prepared(client, target)
            http = client._endpoint.http_session
            settings.url = request.url
            settings.proxy = http._proxy_config.proxy_url_for(request.url)
        access = _access(request, http, settings)
        settings.require_sound(access)
        return access


class _Taken(Exception):
    """A request that goes nowhere."""

    def __init__(self, request: Any) -> None:
        super().__init__("taken before it was sent")
        self.request = request


def _prepared(client: Any, target: TargetConfig) -> Any:
    """A request as botocore sends it, signed."""

    def take(request: Any, **_: object) -> None:
        raise _Taken(request)

    client.meta.events.register("before-send.dynamodb", take)
    try:
        client.describe_table(TableName=target.sales_table)
    except _Taken as taken:
        return taken.request
    finally:
        client.meta.events.unregister("before-send.dynamodb", take)
    raise AssertionError("a request was sent")


def _access(request: Any, http: Any, settings: _Settings) -> Access:
    headers = {name: _text(value) for name, value in request.headers.items()}
    scope = _SCOPE.match(headers.get("Authorization", ""))
    if scope is None:
        raise TargetError(
            "AWS's client library is set to sign requests with something other than Signature "
            "Version 4 (AWS4-HMAC-SHA256), the only one that this tool knows",
            remedy="remove signature_version from the profile in AWS's configuration file; then: "
            f"{again()}",
        )
    return Access(
        url=request.url,
        region=scope[1],
        service=scope[2],
        user_agent=headers["User-Agent"],
        proxy=settings.proxy,
        certificates=http._verify,
        socket_options=tuple(http._socket_options),
        settings=settings.in_play(),
    )


def _text(value: object) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def _hide_password(proxy: str | None) -> None:
    with suppress(LocationParseError):
        if proxy and (auth := parse_url(proxy).auth):
            password = auth.partition(":")[2]
            conceal(password)
            conceal(unquote(password))


@dataclass
class _Settings:
    """What says how a target is reached, by the names that an operator knows."""

    target: TargetConfig
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    url: str = ""
    proxy: str | None = None

    @contextmanager
    def named(self) -> Iterator[None]:
        """Tell what botocore does not take with the settings that are in play."""
        try:
            yield
        except TargetError as error:
            cause, message = error.__cause__, error.message
            if isinstance(cause, ValueError):  # its word for a URL
                rule = ": a host's name has no _" if "_" in str(cause) else ""
                message = f"the URL of DynamoDB cannot be used: {cause}{rule}"
            raise TargetError(f"{message}. {self._listed()}", remedy=error.remedy) from error

    def _refused(self, what: str) -> TargetError:
        return TargetError(f"{what}. {self._listed()}", remedy=f"correct it, then: {again()}")

    def _listed(self) -> str:
        return f"In play: {'; '.join(self.in_play())}"

    def in_play(self) -> tuple[str, ...]:
        """The settings that have a say in where requests go, with what they say."""
        return (*self._of_endpoint(), *self._of_proxy(), *self._of_certificates())

    def _of_endpoint(self) -> Iterator[str]:
        if self.target.endpoint:
            yield f"target.endpoint {self.target.endpoint}"
        elif self.target.use_local_stack:
            yield "target.useLocalStack"
        else:
            yield f"target.region {self.target.region}"
            if self.target.profile:
                yield f"target.profile {self.target.profile}"
            else:
                yield from self._set(["AWS_PROFILE"])
            yield from self._set(_VARIABLES)
            yield from self._of_profile(_OF_A_PROFILE)

    def _of_profile(self, names: tuple[str, ...]) -> Iterator[str]:
        with suppress(Exception):  # a profile that cannot be read is told elsewhere
            session: Any = session_of(self.target)
            scoped = session.get_scoped_config()
            profile = session.get_config_variable("profile") or "default"
            for name in names:
                if name in scoped:
                    yield f"{name} of profile {profile}"

    def _of_proxy(self) -> Iterator[str]:
        kind = self.url.partition(":")[0]
        names = [f"{kind}_proxy", f"{kind.upper()}_PROXY"] if self.proxy else []
        yield from self._set([*names, "no_proxy", "NO_PROXY"])

    def _of_certificates(self) -> Iterator[str]:
        """The one that counts: in botocore's order."""
        if self.url.startswith("https"):
            found = chain(
                self._set(["AWS_CA_BUNDLE"]),
                self._of_profile(("ca_bundle",)),
                self._set(["REQUESTS_CA_BUNDLE"]),
            )
            yield from islice(found, 1)

    def _set(self, names: tuple[str, ...] | list[str]) -> Iterator[str]:
        for name in names:
            if value := self.environ.get(name):
                yield f"{name}={_without_password(value)}"

    def require_sound(self, access: Access) -> None:
        """Raise TargetError for what botocore takes and the wire cannot use."""
        url = parse_url(access.url)
        if url.auth:
            raise self._refused(
                "the URL of DynamoDB has a user or password in it, which DynamoDB does not use"
            )
        if not _SENDABLE.fullmatch(access.url):
            raise self._refused(
                "the URL of DynamoDB has a blank or an accented letter in it: write it "
                "percent-encoded (%20)"
            )
        if access.proxy:
            self._require_proxy(access.proxy)
        if "https" in (url.scheme, parse_url(access.proxy or "").scheme):
            self._require_certificates(access.certificates)

    def _require_proxy(self, proxy: str) -> None:
        try:
            url = parse_url(proxy)
            headers = ProxyConfiguration().proxy_headers_for(proxy)
        except (LocationParseError, ValueError) as error:
            said = "" if isinstance(error, UnicodeError) else f" ({shortened(str(error))})"
            raise self._bad_proxy(f"its URL or its password is malformed{said}") from error
        if not url.host or "://" in proxy.partition("://")[2]:
            raise self._bad_proxy("only proxies at http://… and https://… can be used")
        if url.auth and not headers:
            raise self._bad_proxy("its URL has a user without a password")

    def _bad_proxy(self, why: str) -> TargetError:
        return self._refused(f"the proxy of the environment cannot be used: {why}")

    def _require_certificates(self, certificates: str | bool) -> None:
        try:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.load_verify_locations(get_cert_path(certificates))  # type: ignore[arg-type] # the stub is narrow
        except (OSError, TypeError, ValueError) as error:
            file = shortened(str(certificates))
            raise self._refused(
                f"the file of certificate authorities {file} cannot be used: {in_short(error)}"
            ) from error


def _without_password(value: str) -> str:
    """A value of the environment as it may be shown; who is asked is a secret of none."""
    return re.sub(r"//[^/@]*@", "//***@", shortened(value))
