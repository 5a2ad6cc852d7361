"""What AWS itself keeps of a table: point-in-time recovery, and on-demand backups."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from utils.aws import open_dynamodb, target_errors
from utils.config import Config
from utils.error_handler import TargetError
from utils.invocation import again
from utils.logger import get_logger

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

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
    client = open_dynamodb(config.target)
    found: dict[str, Any] = {}
    with target_errors(config.target):
        if config.backup.point_in_time_recovery != "ignore":
            found["pointInTimeRecovery"] = _point_in_time(
                client, table, config.backup.point_in_time_recovery, sleep
            )
        if config.backup.native:
            found["native"] = _native(client, table, name, sleep)
    return found


def check_recovery(config: Config, tables: Sequence[str]) -> None:
    """Raise TargetError now if point-in-time recovery is required and a table has none, and not
    after the hours that come before a load."""
    if config.backup.point_in_time_recovery != "require":
        return
    client = open_dynamodb(config.target)
    with target_errors(config.target):
        for table in tables:
            if _recovery(client, table).get("PointInTimeRecoveryStatus") != _ENABLED:
                raise _not_recoverable(table)


def _not_recoverable(table: str) -> TargetError:
    return TargetError(
        f"table {table} has no point-in-time recovery, and backup.pointInTimeRecovery requires it",
        remedy="turn it on in the AWS console, or set backup.pointInTimeRecovery to enable",
    )


def _point_in_time(
    client: DynamoDBClient, table: str, wish: str, sleep: Callable[[float], None]
) -> dict[str, Any]:
    state = _recovery(client, table)
    by_us = state.get("PointInTimeRecoveryStatus") != _ENABLED
    if by_us:
        if wish == "require":
            raise _not_recoverable(table)
        get_logger().info("Enabling point-in-time recovery of %s", table)
        client.update_continuous_backups(
            TableName=table,
            PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True},
        )
        state = _until(
            lambda: _recovery(client, table),
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


def _recovery(client: DynamoDBClient, table: str) -> dict[str, Any]:
    answer = client.describe_continuous_backups(TableName=table)["ContinuousBackupsDescription"]
    return dict(answer.get("PointInTimeRecoveryDescription", {}))


def _native(
    client: DynamoDBClient, table: str, name: str, sleep: Callable[[float], None]
) -> dict[str, Any]:
    get_logger().info("Taking an on-demand backup of %s in AWS", table)
    arn = client.create_backup(TableName=table, BackupName=name)["BackupDetails"]["BackupArn"]
    state = _until(
        lambda: dict(client.describe_backup(BackupArn=arn)["BackupDescription"]["BackupDetails"]),
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
        remedy=f"look at it in the AWS console, then go on: {again()}",
    )


def _text(moment: object) -> str | None:
    return moment.isoformat() if isinstance(moment, datetime) else None
