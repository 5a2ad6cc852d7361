"""The credentials of a target: found once a run, in its first process, and renewed in time there.

The other processes ask it (utils/processes/first_process.py): a provider that wants a code from the
operator asks once, and one that costs a request is asked once for all. botocore renews what has an
end, ten to fifteen minutes before it; when a provider cannot do that, the credentials serve on
until the service says that they have expired. What has expired is looked for again where it comes
from.

Whatever fails in a provider is told in one way: which provider it is, what it said, what to do.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from typing import Protocol, TypeVar, cast

from botocore.credentials import Credentials, ReadOnlyCredentials

from utils.aws.errors import CREDENTIALS_REMEDY, clock, in_short, of_clocks, target_errors
from utils.aws.session import (
    CodeSpent,
    NobodyToAsk,
    ProviderFailed,
    Who,
    look_anew,
    session_of,
    who_asks,
)
from utils.config import TargetConfig
from utils.error_handler import BackOff, TargetError, traceback_of
from utils.logger import get_logger
from utils.processes.first_process import in_the_first, is_the_first
from utils.wording.invocation import again
from utils.wording.masking import conceal, conceal_key_id

Found = TypeVar("Found")

_LOOK_EVERY = 5.0  # seconds between two looks whether it is time to renew
_SEEK_EVERY = 1.0  # seconds between two looks for others than what has expired
_REST = 30.0  # seconds after a renewal that failed
_ASK_EVERY = 20.0  # seconds after which another process asks again
_PATIENCE = 60.0  # seconds that a provider may take to renew them
_UNRENEWED = "CredentialsNotRenewed"


class Expired(BackOff):
    """The credentials have expired; the next call looks for new ones."""


class Unrenewed(Expired):
    """They have expired, and their provider gives no others now: what to say if that stays so."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(_UNRENEWED, message)
        self.message = message
        self.remedy = remedy


class Keys(Protocol):
    """The credentials of a target; safe to share between threads."""

    def current(self) -> ReadOnlyCredentials:
        """Key, secret and token that belong together. Raises Unrenewed, and TargetError when they
        are another account's than before."""

    def look_again(self, expired: ReadOnlyCredentials) -> None:
        """The service says that these have expired: look for newer ones. Raises as `current`."""


class OwnKeys:
    """The credentials as the first process finds them."""

    def __init__(self, target: TargetConfig, *, now: Callable[[], float] = time.monotonic) -> None:
        """Raises TargetError when there are none."""
        self._target = target
        self._clock = now
        self._lock = threading.RLock()
        self._spent: ReadOnlyCredentials | None = None
        self._failure: Unrenewed | None = None
        self._looked_at, self._sought_at = now(), float("-inf")
        try:
            self._found = self._find()
            keys = self._found.get_frozen_credentials()
        except TargetError:
            raise
        except Exception as error:
            if NobodyToAsk in (type(error), type(error.__cause__)):
                look_anew(target)  # botocore asks once, and takes this for it
            raise _error(error, self.method, target, "found") from error
        self._keys = self._sound(keys)

    _found: Credentials | None = None

    @property
    def method(self) -> str:
        """botocore's name of the provider."""
        return str(self._found.method) if self._found else ""

    def current(self) -> ReadOnlyCredentials:
        if self._clock() < self._looked_at + _LOOK_EVERY and self._failure is None:
            return self._keys
        with self._lock:
            if self._failure is not None and self._keys == self._spent:
                self.look_again(self._spent)  # perhaps somebody has signed in meanwhile
                if self._failure is not None:
                    raise self._failure
            elif self._clock() >= self._looked_at + (_REST if self._failure else _LOOK_EVERY):
                self._renew()
            return self._keys

    def _renew(self) -> None:
        """Let botocore renew them if it is time to."""
        assert self._found is not None
        self._looked_at = self._clock()
        try:
            keys = _in_time(self._found.get_frozen_credentials)
        except Exception as error:
            self._failed(error)
        else:
            self._take(keys)

    def look_again(self, expired: ReadOnlyCredentials) -> None:
        with self._lock:
            if self._keys != expired or self._clock() < self._sought_at + _SEEK_EVERY:
                return
            self._spent, self._sought_at = expired, self._clock()
            look_anew(self._target)
            try:
                found, keys = _in_time(self._find_anew)
            except Exception as error:
                raise self._failed(error) from error
            self._found = found
            self._take(keys)

    def _find_anew(self) -> tuple[Credentials, ReadOnlyCredentials]:
        found = self._find()
        return found, found.get_frozen_credentials()

    def _find(self) -> Credentials:
        with target_errors(self._target):
            found = session_of(self._target).get_credentials()
        if found is None:
            raise TargetError("no AWS credentials were found", remedy=CREDENTIALS_REMEDY)
        return found

    def _take(self, keys: ReadOnlyCredentials) -> None:
        if keys != self._keys:
            _require_same_account(self._keys, keys)
            self._keys = self._sound(keys)
        self._failure = None

    def _sound(self, keys: ReadOnlyCredentials) -> ReadOnlyCredentials:
        _require_sendable(keys)
        hide(keys)
        return keys

    def _failed(self, error: Exception) -> Unrenewed:
        told = _error(error, self.method, self._target, "renewed")
        if self._failure is None:
            get_logger().warning("%s", told.message)
            files = {"files_only": True, "context": {"traceback": traceback_of(error)}}
            get_logger().info("How the credentials could not be renewed", extra=files)
        self._failure = Unrenewed(told.message, told.remedy)
        return self._failure


def _in_time(renew: Callable[[], Found]) -> Found:
    """What `renew` returns or raises; TimeoutError when it does not come to an end: a program of
    somebody's, or a service, may wait for ever, and a load would with it."""
    outcome: queue.SimpleQueue[tuple[Found | None, Exception | None]] = queue.SimpleQueue()

    def work() -> None:
        try:
            outcome.put((renew(), None))
        except Exception as error:
            outcome.put((None, error))

    threading.Thread(target=work, name="credentials", daemon=True).start()
    try:
        found, error = outcome.get(timeout=_PATIENCE)
    except queue.Empty:
        raise TimeoutError(f"it gave no answer within {_PATIENCE:g} seconds") from None
    if error is not None:
        raise error
    return cast(Found, found)


class AskedKeys:
    """The credentials in a process that asks the first one for them."""

    def __init__(self, target: TargetConfig, *, now: Callable[[], float] = time.monotonic) -> None:
        self._target = target
        self._clock = now
        self._lock = threading.Lock()
        self._keys = self._ask(None)

    def current(self) -> ReadOnlyCredentials:
        if self._clock() >= self._asked_at + _ASK_EVERY and self._lock.acquire(blocking=False):
            try:
                self._keys = self._ask(None)
            finally:
                self._lock.release()
        return self._keys

    def look_again(self, expired: ReadOnlyCredentials) -> None:
        with self._lock:
            if self._keys == expired:
                self._keys = self._ask(expired)

    def _ask(self, expired: ReadOnlyCredentials | None) -> ReadOnlyCredentials:
        self._asked_at = self._clock()
        keys = in_the_first(keys_in_use, self._target, expired)
        hide(keys)
        return keys


_opening = threading.RLock()
_opened: dict[Who, Keys] = {}


def keys_to(target: TargetConfig) -> Keys:
    """This process's credentials of a target. Raises TargetError when there are none."""
    with _opening:
        who = who_asks(target)
        if who not in _opened:
            _opened[who] = OwnKeys(target) if is_the_first() else AskedKeys(target)
        return _opened[who]


def provider_of(target: TargetConfig) -> str:
    """Where this process's credentials of a target come from, in words. Raises TargetError when
    there are none."""
    keys = keys_to(target)
    method = keys.method if isinstance(keys, OwnKeys) else ""
    known = _PROVIDERS.get(method)
    name = _profile(target)
    profile = f"profile {name}" if name else "the default profile"
    return known[0].format(profile=profile) if known else method or "another process"


def keys_in_use(target: TargetConfig, expired: ReadOnlyCredentials | None) -> ReadOnlyCredentials:
    """What the first process uses now, others than those that have expired if there are any.
    Raises as `Keys.look_again`."""
    keys = keys_to(target)
    if expired is not None:
        keys.look_again(expired)
    return keys.current()


def forget_keys() -> None:
    """Forget all credentials: the next run of this process begins."""
    _opened.clear()


def hide(keys: ReadOnlyCredentials) -> None:
    """Take them out of every text."""
    conceal_key_id(keys.access_key or "")
    for secret in (keys.secret_key, keys.token):
        conceal(secret or "")


def _require_sendable(keys: ReadOnlyCredentials) -> None:
    """Raise TargetError for keys that cannot stand in the header of a request."""
    given = [keys.access_key, keys.secret_key, keys.token or ""]
    if not all(text.isascii() and text.isprintable() for text in map(str, given)):
        raise TargetError(
            "the AWS credentials hold a character that no key has (an accented letter, a line "
            "break): they were not copied correctly",
            remedy=CREDENTIALS_REMEDY,
        )


def _require_same_account(before: ReadOnlyCredentials, now: ReadOnlyCredentials) -> None:
    """Raise TargetError where the providers say that it is another account. Where they say
    nothing, the tables are looked at (utils/dynamodb/reached.py)."""
    if before.account_id and now.account_id and before.account_id != now.account_id:
        raise TargetError(
            f"the AWS credentials were renewed with those of another account: {now.account_id} "
            f"instead of {before.account_id}",
            remedy="use the account with which the run began (target.profile, AWS_PROFILE, the "
            f"environment), then run: {again()}",
        )


# botocore's names of the providers: what it is, and what to do when it fails.
_PROVIDERS = {
    "env": (
        "the environment (AWS_ACCESS_KEY_ID and related variables)",
        "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, for temporary ones also "
        "AWS_SESSION_TOKEN and an AWS_CREDENTIAL_EXPIRATION in the future",
    ),
    "assume-role": (
        "the role (role_arn) of {profile}",
        "check role_arn, source_profile, credential_source and mfa_serial there, and that the "
        "role's trust policy lets these credentials assume it (sts:AssumeRole)",
    ),
    "assume-role-with-web-identity": (
        "the role of the web identity (AWS_ROLE_ARN, AWS_WEB_IDENTITY_TOKEN_FILE, {profile})",
        "check that the token file is there and current, and that the role trusts its issuer",
    ),
    "sso": ("the SSO session of {profile}", "sign in again: `aws sso login{option}`"),
    "login": ("the sign-in of {profile}", "sign in again: `aws login{option}`"),
    "custom-process": (
        "the credential_process of {profile}",
        "run that command by hand: it must end with code 0 and print JSON with Version 1, "
        "AccessKeyId, SecretAccessKey and, if they expire, an Expiration in the future",
    ),
    "shared-credentials-file": ("the credentials file, {profile}", "correct that file"),
    "config-file": ("the configuration file of AWS, {profile}", "correct that file"),
    "container-role": (
        "the container's credentials (AWS_CONTAINER_CREDENTIALS_…)",
        "check that the task or pod has a role, and that its agent answers",
    ),
    "iam-role": (
        "the instance's role (metadata service)",
        "check that the instance has a role, and that its metadata service answers",
    ),
}


def _error(error: Exception, method: str, target: TargetConfig, what: str) -> TargetError:
    """The one error for a provider that fails; `what` was to be done with the credentials."""
    if isinstance(error, TargetError):
        return error
    cause: BaseException = error
    if isinstance(error, ProviderFailed):
        method, cause = error.method, error.__cause__ or error
    method = _innermost(cause) or method
    name = _profile(target)
    known = _PROVIDERS.get(method, (f"the provider {method or 'in use'}", CREDENTIALS_REMEDY))
    option = f" --profile {name}" if name else ""
    words = {"profile": f"profile {name}" if name else "the default profile", "option": option}
    provider, remedy = (text.format(**words) for text in known)
    own = " (or set target.useLocalStack for a server of your own)" if what == "found" else ""
    return TargetError(
        f"the AWS credentials cannot be {what}: {provider} fails: {_said(cause)}",
        remedy=f"{remedy}{own}; then: {again()}",
    )


def _innermost(error: BaseException) -> str:
    """The provider within a provider that a library's error names (a role whose source is a
    process)."""
    named = getattr(error, "kwargs", {}).get("provider", "")
    return named if named in _PROVIDERS else ""


def _profile(target: TargetConfig) -> str:
    try:
        return str(session_of(target).get_config_variable("profile") or "")
    except Exception:
        return target.profile or ""


def _said(error: BaseException) -> str:
    """What a provider's failure says; a library's words about a program that is not there, or an
    output that is no JSON, say too little."""
    if isinstance(error, CodeSpent) or type(error).__name__ == "RefreshWithMFAUnsupportedError":
        return (
            "the session that was opened with a code (MFA) has expired, and a run asks for a "
            "code only once"
        )
    if isinstance(error, NobodyToAsk):
        return "it asks for a code (MFA), which a run asks for when it first uses the target"
    if isinstance(error, EOFError):
        return "it asks for a code (MFA), and there is no terminal to type it in"
    if isinstance(error, ValueError):
        return f"its output cannot be read ({in_short(error)})"
    if isinstance(error, KeyError):
        return f"its output lacks {error}"
    return in_short(error).rstrip(".") + (
        f" (this machine's clock says {clock()})" if of_clocks(error) else ""
    )
