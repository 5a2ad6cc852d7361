"""Clients of AWS's other services.

They are reached as DynamoDB is: region, profile, proxies, certificates and credentials are those of
the target. What accompanies a run must never hold it up: unless it is told otherwise, a client
gives up soon and tries nothing twice. Whoever uses it has something to do while it does not answer.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from botocore.config import Config as BotoConfig
from botocore.credentials import CredentialProvider, CredentialResolver, Credentials
from urllib3.util import parse_url

from utils.aws.credentials import keys_to
from utils.aws.session import new_session
from utils.config import TargetConfig

if TYPE_CHECKING:
    import botocore.session
    from botocore.client import BaseClient
    from botocore.credentials import ReadOnlyCredentials

CONNECT_SECONDS = 2.0
ANSWER_SECONDS = 4.0
# By which the environment and a profile name them (botocore: SERVICE_ID, lower case).
_SERVICE_IDS = {"logs": "cloudwatch_logs", "cloudwatch": "cloudwatch", "s3": "s3"}
_OF_AWS = (".amazonaws.com", ".amazonaws.com.cn", ".api.aws", ".api.amazonwebservices.com.cn")


_BESIDE = BotoConfig(
    connect_timeout=CONNECT_SECONDS,
    read_timeout=ANSWER_SECONDS,
    retries={"mode": "standard", "total_max_attempts": 1},
    max_pool_connections=1,
    disable_request_compression=True,  # what takes AWS's place may not understand it
)


def open_service(target: TargetConfig, name: str, config: BotoConfig = _BESIDE) -> BaseClient:
    """A client of the service that botocore knows by `name`, with the credentials of the run.

    Raises what botocore raises for settings that it does not take.
    """
    session = new_session(target)
    session.register_component("credential_provider", CredentialResolver([_OfTheRun(target)]))
    endpoint = endpoint_of(target, name, session)
    if name == "s3" and endpoint:  # a server of one's own has no host name for each bucket
        config = config.merge(BotoConfig(s3={"addressing_style": "path"}))
    client: Any = session.create_client(
        name, region_name=target.region, endpoint_url=endpoint, config=config
    )
    opened: BaseClient = client
    return opened


def endpoint_of(target: TargetConfig, name: str, session: botocore.session.Session) -> str | None:
    """Where a service is: None for what botocore finds. An endpoint that the target names serves
    everything, unless it is AWS's own for DynamoDB, or the service has one of its own in the
    environment or the profile."""
    if target.endpoint_url is None or _has_its_own(target, name, session):
        return None
    host = parse_url(target.endpoint_url).host or ""
    return None if f".{host}".endswith(_OF_AWS) else target.endpoint_url


def _has_its_own(target: TargetConfig, name: str, session: botocore.session.Session) -> bool:
    """Whether AWS_ENDPOINT_URL_<service> or a `services` section says where a service is; of a
    profile, which belongs to a real account, nothing counts for a LocalStack."""
    service = _SERVICE_IDS[name]
    if session.get_config_variable("ignore_configured_endpoint_urls"):
        return False
    if os.environ.get(f"AWS_ENDPOINT_URL_{service.upper()}"):
        return True
    if target.use_local_stack:
        return False
    chosen = session.get_scoped_config().get("services", "")
    section = session.full_config.get("services", {}).get(chosen, {})
    return "endpoint_url" in section.get(service, {})


class _OfTheRun(CredentialProvider):
    """Provides what the run has found already, and renews (utils/aws/credentials.py)."""

    METHOD = "run"

    def __init__(self, target: TargetConfig) -> None:
        super().__init__()
        self._target = target

    def load(self) -> Credentials:
        return _Shared(self._target)


class _Shared(Credentials):
    """The credentials of the run, as they are whenever a request is signed."""

    def __init__(self, target: TargetConfig) -> None:
        super().__init__("run", "run", method="run")
        self._target = target

    def get_frozen_credentials(self) -> ReadOnlyCredentials:
        """Raises TargetError and Unrenewed as utils/aws/credentials.py does."""
        return keys_to(self._target).current()
