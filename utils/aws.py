"""The one place where a connection to AWS is opened."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

import boto3
import botocore.session
from botocore.config import Config as BotoConfig
from botocore.credentials import Credentials, ReadOnlyCredentials
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    EndpointConnectionError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    SSOError,
    TokenRetrievalError,
)

from utils.config import TargetConfig
from utils.error_handler import TargetError
from utils.invocation import again
from utils.masking import conceal

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

CONNECT_TIMEOUT = 5
READ_TIMEOUT = 30
_CREDENTIALS_REMEDY = (
    "give AWS credentials (environment, `aws configure`, target.profile or the machine's role) "
    "or set target.useLocalStack"
)
EXPIRED_CODES = frozenset({"ExpiredTokenException", "ExpiredToken"})
# What botocore raises when it is time to renew credentials and it cannot.
UNRENEWED = (CredentialRetrievalError, SSOError, TokenRetrievalError)
_CREDENTIAL_CODES = {
    "UnrecognizedClientException",
    "InvalidSignatureException",
    "IncompleteSignature",
    "InvalidClientTokenId",
    "MissingAuthenticationTokenException",
}


def open_session(target: TargetConfig) -> boto3.Session:
    """A session with the credentials that `target` asks for; LocalStack takes any."""
    with target_errors(target):
        if target.use_local_stack:
            return boto3.Session(
                "localstack",
                "localstack",
                region_name=target.region,
                botocore_session=_core(target),
            )
        return boto3.Session(region_name=target.region, botocore_session=_core(target))


def trusted_certificates(target: TargetConfig) -> str | bool:
    """The file of certificate authorities that AWS_CA_BUNDLE or the profile names, else True: the
    usual ones."""
    with target_errors(target):
        bundle: str | None = _core(target).get_config_variable("ca_bundle")
    return bundle or True


def _core(target: TargetConfig) -> botocore.session.Session:
    """botocore's own session with the target's profile.

    For LocalStack there is none: a profile of the environment belongs to a real account, and may
    not even exist.
    """
    if target.use_local_stack:
        return botocore.session.Session(session_vars={"profile": (None, None, None, None)})
    return botocore.session.Session(profile=target.profile)


@cache
def open_dynamodb(target: TargetConfig) -> DynamoDBClient:
    """A DynamoDB client for the calls that are not hot (tables, single items, queries)."""
    with target_errors(target):
        session = open_session(target)
        if found := session.get_credentials():
            _require_sendable(found.get_frozen_credentials())
        return session.client(
            "dynamodb",
            endpoint_url=target.endpoint_url,
            config=BotoConfig(
                connect_timeout=CONNECT_TIMEOUT,
                read_timeout=READ_TIMEOUT,
                retries={"mode": "standard", "total_max_attempts": 4},
            ),
        )


def endpoint_of(target: TargetConfig) -> str:
    """The URL of the target's DynamoDB, as botocore finds it, without a path."""
    url: str = open_dynamodb(target).meta.endpoint_url
    return url.rstrip("/")


def _require_sendable(keys: ReadOnlyCredentials) -> None:
    """Raise TargetError for keys that cannot stand in the header of a request."""
    given = [keys.access_key, keys.secret_key, keys.token or ""]
    if not all(text.isascii() and text.isprintable() for text in map(str, given)):
        raise TargetError(
            "the AWS credentials hold a character that no key has (a letter with an accent, a "
            "line break): they were not copied as they are",
            remedy=_CREDENTIALS_REMEDY,
        )


class Keys:
    """The credentials of a target, looked for again when they have expired; safe to share."""

    def __init__(self, target: TargetConfig) -> None:
        self._target = target
        self._lock = threading.Lock()
        self._found = self._find()

    def _find(self) -> Credentials:
        with target_errors(self._target):
            found = open_session(self._target).get_credentials()
        if found is None:
            raise TargetError("no AWS credentials were found", remedy=_CREDENTIALS_REMEDY)
        return found

    def current(self) -> ReadOnlyCredentials:
        """Key, secret and token that belong together; botocore renews those that it can."""
        keys = self._found.get_frozen_credentials()
        _require_sendable(keys)
        for secret in (keys.secret_key, keys.token):
            conceal(secret or "")
        return keys

    def look_again(self, expired: ReadOnlyCredentials) -> None:
        """Look where credentials come from for newer ones than `expired`."""
        with self._lock:
            if self.current() == expired:
                open_dynamodb.cache_clear()
                self._found = self._find()


@contextmanager
def target_errors(target: TargetConfig) -> Iterator[None]:
    """Turn what boto raises into a TargetError with a remedy."""
    try:
        yield
    except (NoCredentialsError, PartialCredentialsError) as error:
        raise TargetError("no AWS credentials were found", remedy=_CREDENTIALS_REMEDY) from error
    except ProfileNotFound as error:
        setting = "target.profile" if target.profile else "AWS_PROFILE in the environment"
        raise TargetError(
            f"the AWS profile {target.profile or os.environ.get('AWS_PROFILE')} does not exist",
            remedy=f"correct {setting}, or create it with `aws configure --profile …`",
        ) from error
    except ClientError as error:
        problem = error.response.get("Error", {})
        raise refused(problem.get("Code", ""), problem.get("Message", ""), target) from error
    except EndpointConnectionError as error:
        raise unreachable(target) from error
    except UNRENEWED as error:
        raise TargetError(
            f"the AWS credentials cannot be renewed: {error}", remedy=_renew()
        ) from error
    except BotoCoreError as error:
        raise TargetError(
            f"the target cannot be used: {type(error).__name__}: {error}",
            remedy="check target.region, target.endpoint and the network",
        ) from error


def refused(code: str, message: str, target: TargetConfig) -> TargetError:
    """The error for a request that the service answered with error `code`."""
    where = target.endpoint_url or f"DynamoDB in {target.region}"
    if code in EXPIRED_CODES:
        return TargetError(
            f"the AWS credentials for {where} have expired ({code})", remedy=_renew()
        )
    if code in _CREDENTIAL_CODES:
        return TargetError(
            f"{where} does not accept the AWS credentials ({code})", remedy=_CREDENTIALS_REMEDY
        )
    if code == "AccessDeniedException":
        return TargetError(
            f"{where} denies access: {message}",
            remedy=f"grant this action to the credentials, then go on: {again()}",
        )
    if code == "ResourceNotFoundException":
        return TargetError(
            f"a table is missing at {where}: {message}",
            remedy="create it, correct the table names of `target`, or set target.createTables",
        )
    return TargetError(
        f"{where} refused a request: {code}: {message}",
        remedy=f"see the message; after mending the cause, go on: {again()}",
    )


def _renew() -> str:
    return f"renew them (`aws sso login`, a new session token), then go on: {again()}"


def unreachable(target: TargetConfig) -> TargetError:
    """The error for a target that does not answer at all."""
    where = target.endpoint_url or f"DynamoDB in {target.region}"
    hint = (
        "start LocalStack, or correct target.endpoint"
        if target.endpoint_url
        else ("check the network and target.region")
    )
    return TargetError(f"{where} cannot be reached", remedy=hint)
