"""The one place where AWS is opened: botocore's session of a target, on which all of a run stands.

There is one session in a run, in its first process: credentials, profile, region and whatever else
botocore finds in the environment and in AWS's own files are looked for once. What is made of it is
in utils/aws/credentials.py (credentials) and utils/aws/access.py (endpoint, proxies, certificates).
"""

from __future__ import annotations

import getpass
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import botocore.session
from botocore.config import Config as BotoConfig

from utils.config import TargetConfig
from utils.version import VERSION

if TYPE_CHECKING:
    from botocore.credentials import Credentials
    from mypy_boto3_dynamodb import DynamoDBClient

CONNECT_TIMEOUT = 5
READ_TIMEOUT = 30
TOOL = "s9-to-sale-module"

Who = tuple[str | None, str, bool]

_lock = threading.RLock()
_sessions: dict[Who, botocore.session.Session] = {}
_clients: dict[TargetConfig, DynamoDBClient] = {}


class ProviderFailed(Exception):
    """A provider of credentials (`method` is botocore's name of it) could not do its work; the
    cause is what it raised."""

    def __init__(self, method: str) -> None:
        super().__init__(method)
        self.method = method


class CodeSpent(Exception):
    """A session that a code had opened (MFA) is over, and one run asks for one code only."""


class NobodyToAsk(Exception):
    """A code is wanted (MFA) by a thread that must not ask the operator."""


def who_asks(target: TargetConfig) -> Who:
    """What of a target decides about session and credentials; its tables do not."""
    return target.profile, target.region, target.use_local_stack


def session_of(target: TargetConfig) -> botocore.session.Session:
    """This process's session with the profile that `target` asks for; LocalStack takes any
    credentials, and no profile of the environment, which belongs to a real account."""
    with _lock:
        who = who_asks(target)
        if who not in _sessions:
            _sessions[who] = _core(target)
        return _sessions[who]


def region_of_profile(target: TargetConfig) -> str:
    """The region that AWS's own settings name (environment, profile), which `target.region`
    overrides; "" for none."""
    with suppress(Exception):  # settings that cannot be read are told elsewhere
        aside: Any = botocore.session.Session(profile=target.profile)
        return str(aside.get_config_variable("region") or "")
    return ""


def new_session(target: TargetConfig) -> botocore.session.Session:
    """A session as `session_of` has it, of the caller's own."""
    return _core(target)


def look_anew(target: TargetConfig) -> None:
    """Let the next session of `target` look for everything once more."""
    with _lock:
        _sessions.pop(who_asks(target), None)


def forget_sessions() -> None:
    """Forget every session and client: the next run of this process begins."""
    with _lock:
        _sessions.clear()
        _clients.clear()
        _asked.clear()


def open_dynamodb(target: TargetConfig) -> DynamoDBClient:
    """botocore's own client for the target. It is what the wire is measured by: where and how this
    one would ask, the wire asks (utils/aws/access.py)."""
    with _lock:
        if target not in _clients:
            client: Any = session_of(target).create_client(
                "dynamodb",
                region_name=target.region,
                endpoint_url=target.endpoint_url,
                config=BotoConfig(
                    connect_timeout=CONNECT_TIMEOUT,
                    read_timeout=READ_TIMEOUT,
                    retries={"mode": "standard", "total_max_attempts": 4},
                ),
            )
            _clients[target] = client
        return _clients[target]


def _core(target: TargetConfig) -> botocore.session.Session:
    if target.use_local_stack:
        core = botocore.session.Session(session_vars={"profile": (None, None, None, None)})
        core.set_credentials("localstack", "localstack")
    else:
        core = botocore.session.Session(profile=target.profile)
        _name_providers(core)
    core.set_config_variable("region", target.region)  # also for who gives credentials (STS)
    core.user_agent_name, core.user_agent_version = TOOL, VERSION
    return core


class _Named:
    """A provider of credentials that says which one it is when it fails."""

    def __init__(self, provider: Any) -> None:
        self._provider = provider

    def __getattr__(self, name: str) -> Any:
        return getattr(self._provider, name)

    def load(self) -> Credentials | None:
        try:
            found: Credentials | None = self._provider.load()
        except Exception as error:
            raise ProviderFailed(self._provider.METHOD) from error
        return found


def _name_providers(core: botocore.session.Session) -> None:
    resolver = core.get_component("credential_provider")
    for provider in resolver.providers:
        if provider.METHOD == "assume-role":
            provider._prompter = _ask_once
    resolver.providers = [_Named(provider) for provider in resolver.providers]


_asked: set[str] = set()
_this_thread = threading.local()


def ask_nothing() -> None:
    """From now on this thread asks the operator for no code: it is at work beside the run."""
    _this_thread.asks_nothing = True


def _ask_once(question: str) -> str:
    """Ask the operator for a code (MFA): once in a run, whatever needs it again."""
    if getattr(_this_thread, "asks_nothing", False):
        raise NobodyToAsk
    with _lock:
        if question in _asked:
            raise CodeSpent
        _asked.add(question)
    return getpass.getpass(question)
