"""What AWS itself keeps of a table: point-in-time recovery, and on-demand backups."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from typing import Any

from utils.config import Config, TargetConfig
from utils.dynamodb.retrying import control
from utils.error_handler import TargetError
from utils.logger import get_logger
from utils.wording.invocation import again

_POLL_SECONDS = 2.0
_WITHIN = 3600.0
_ENABLED = "ENABLED"


def secure(config: Config, table: str, name: str, sleep: Callable[[float], None]) -> dict[str, Any]:
    """Do what `backup.pointInTimeRecovery` and `backup.native` ask for, for one table.

    Returns what there is, for the manifest: `pointInTimeRecovery` {status, enabledByUs,
    earliest, latest} and `native` {arn, status}, each only when it was asked for. `name` is what
    a native backup is called. Raises TargetError when point-in-time recovery is required and
    off, or AWS does not do what it is asked.
    """
    found: dict[str, Any] = {}
    wish = config.backup.point_in_time_recovery
    if wish != "ignore":
        found["pointInTimeRecovery"] = _point_in_time(config.target, table, wish, sleep)
    if config.backup.native:
        found["native"] = _native(config.target, table, name, sleep)
    return found


def check_recovery(config: Config, tables: Sequence[str]) -> None:
    """Raise TargetError now if point-in-time recovery is required and a table has none, and not
    after the hours that come before a load."""
    if config.backup.point_in_time_recovery != "require":
        return
    for table in tables:
        if _recovery(config.target, table).get("PointInTimeRecoveryStatus") != _ENABLED:
            raise _not_recoverable(table)


def _not_recoverable(table: str) -> TargetError:
    return TargetError(
        f"table {table} has no point-in-time recovery, and backup.pointInTimeRecovery requires it",
        remedy="turn it on in the AWS console, or set backup.pointInTimeRecovery to enable",
    )


def _point_in_time(
    target: TargetConfig, table: str, wish: str, sleep: Callable[[float], None]
) -> dict[str, Any]:
    state = _recovery(target, table)
    by_us = state.get("PointInTimeRecoveryStatus") != _ENABLED
    if by_us:
        if wish == "require":
            raise _not_recoverable(table)
        get_logger().info("Enabling point-in-time recovery of %s", table)
        wanted = {"PointInTimeRecoveryEnabled": True}
        control(
            target,
            "UpdateContinuousBackups",
            {"TableName": table, "PointInTimeRecoverySpecification": wanted},
        )
        state = _until(
            lambda: _recovery(target, table),
            lambda found: found.get("PointInTimeRecoveryStatus") == _ENABLED,
            f"point-in-time recovery of {table} is not enabled",
            sleep,
        )
    return {
        "status": state["PointInTimeRecoveryStatus"],
        "enabledByUs": by_us,
        "earliest": _text(state.get("EarliestRestorableDateTime")),
        "latest": _text(state.get("LatestRestorableDateTime")),
    }


def _recovery(target: TargetConfig, table: str) -> dict[str, Any]:
    answer = control(target, "DescribeContinuousBackups", {"TableName": table})
    described = answer["ContinuousBackupsDescription"]
    return dict(described.get("PointInTimeRecoveryDescription", {}))


def _native(
    target: TargetConfig, table: str, name: str, sleep: Callable[[float], None]
) -> dict[str, Any]:
    get_logger().info("Taking an on-demand backup of %s in AWS", table)
    made = control(target, "CreateBackup", {"TableName": table, "BackupName": name})
    arn = made["BackupDetails"]["BackupArn"]

    def look() -> dict[str, Any]:
        found = control(target, "DescribeBackup", {"BackupArn": arn})["BackupDescription"]
        return dict(found["BackupDetails"])

    state = _until(
        look,
        lambda found: found["BackupStatus"] == "AVAILABLE",
        f"the on-demand backup {arn} is not AVAILABLE",
        sleep,
    )
    return {"arn": arn, "status": state["BackupStatus"]}


def _until(
    look: Callable[[], dict[str, Any]],
    good: Callable[[dict[str, Any]], bool],
    problem: str,
    sleep: Callable[[float], None],
) -> dict[str, Any]:
    for _ in range(int(_WITHIN / _POLL_SECONDS)):
        found = look()
        if good(found):
            return found
        sleep(_POLL_SECONDS)
    raise TargetError(
        f"{problem} after {_WITHIN / 60:.0f} minutes",
        remedy=f"look at it in the AWS console, then run: {again()}",
    )


def _text(moment: object) -> str | None:
    """A moment as DynamoDB's answers have it, in seconds since 1970."""
    if not isinstance(moment, (int, float)):
        return None
    try:
        return datetime.fromtimestamp(moment, timezone.utc).isoformat()
    except (OverflowError, ValueError, OSError):
        return None
