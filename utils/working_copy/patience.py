"""An S3 that does not answer is waited for, as long as the settings say."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from utils.config import MigrationConfig
from utils.dynamodb.backoff import Attempts, RetryPolicy
from utils.error_handler import StorageError, TargetError
from utils.interrupt import StopFlag
from utils.logger import get_logger
from utils.s3.s3_errors import Changed, NotNow, ObjectMissing
from utils.wording.invocation import again
from utils.working_copy.place import Place

Result = TypeVar("Result")
_TO_BE_TOLD_APART = (Changed, ObjectMissing)


class Patience:
    """Does requests again that S3 has not answered, as `migration.maxRetries` and `retryDelay` say.
    What it has once waited for in vain it does not wait for again, until something succeeds."""

    def __init__(self, place: Place, config: MigrationConfig) -> None:
        self._place = place
        self._config = config
        self._in_vain = False
        self.stop: StopFlag | None = None

    def do(self, request: Callable[[], Result], *, waits: bool = True) -> Result:
        """What a request gives. Raises Changed and ObjectMissing as they are, and StorageError for
        everything else: it is the files that cannot be kept, or got."""
        attempts = Attempts(RetryPolicy.of(self._config, self._rest))
        while True:
            try:
                result = request()
            except _TO_BE_TOLD_APART:
                raise
            except NotNow as error:
                if not waits or self._in_vain or self._is_stopping or not attempts.fail():
                    self._in_vain = self._in_vain or waits
                    raise self._refused(error) from error
                get_logger().warning("S3 does not answer, trying again: %s", error.message)
                attempts.wait()
            except TargetError as error:
                raise self._refused(error) from error
            else:
                self._in_vain = False
                return result

    @property
    def _is_stopping(self) -> bool:
        return self.stop is not None and self.stop.requested

    def _rest(self, seconds: float) -> None:
        if self.stop is None:
            time.sleep(seconds)
        else:
            self.stop.rest(seconds)

    def _refused(self, error: TargetError) -> StorageError:
        remedy = error.remedy
        if isinstance(error, NotNow):
            remedy = (
                "nothing is lost: what is not in S3 yet is in the working copy on this machine. "
                f"When S3 answers again, type here: {again()}"
            )
        return StorageError(
            f"the files of this migration are kept in {self._place}: {error.message}",
            remedy=remedy,
        )
