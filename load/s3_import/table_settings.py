"""What a table is given after its import, which cannot do it itself: `load.newTables`.

Everything is looked at first and changed where it is otherwise, so that it can be done again; in
the end the table is as the settings say, or an error says what is not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from load.target.tables import describe, wait_for_tables
from load.writing.known_attributes import types_of
from utils.config import NewTablesConfig, TargetConfig
from utils.dynamodb.backoff import RetryPolicy
from utils.dynamodb.client import ResourceBusy, wire_to
from utils.dynamodb.retrying import ask, control
from utils.error_handler import ConfigurationError, TargetError
from utils.run.run import Run
from utils.wording.invocation import again

_POLL_SECONDS = 1.0
_WITHIN = 900.0
_RETRIES, _DELAY = 5, 0.5


def require_sound(settings: NewTablesConfig) -> None:
    """Raise ConfigurationError when DynamoDB would delete what is loaded."""
    for entity, attribute in settings.time_to_live.items():
        if types_of(entity, attribute):
            raise ConfigurationError(
                f"load.newTables.timeToLive: {entity} that are migrated have the attribute "
                f"{attribute}, by which DynamoDB would delete them",
                remedy="name the attribute by which the Sale Module has items deleted",
            )


def apply(run: Run, entity: str, table_arn: str) -> None:
    """Give an entity's table what the settings say, and wait until it has it. Raises TargetError,
    Interrupted; called again, it resumes."""
    target, settings = run.config.target, run.config.load.new_tables
    name = target.table(entity)
    due = list(_due(target, settings, entity, name, table_arn))
    wait_for_tables(target, [name], run.stop.sleep, run.progress)
    if not due:
        return
    with run.progress.task("load", entity, len(due), unit="settings", step="settings") as task:
        for what, is_so, change in due:
            _make_so(run, name, what, is_so, change)
            task.advance()


Setting = tuple[str, Callable[[], bool], Callable[[], object]]  # its name, whether it is so, change


def _due(
    target: TargetConfig, settings: NewTablesConfig, entity: str, name: str, arn: str
) -> Iterator[Setting]:
    """Every setting that is asked for."""

    def table() -> Mapping[str, Any]:
        return describe(target, name) or {}

    def update(**changes: Any) -> Callable[[], object]:
        return lambda: control(target, "UpdateTable", {"TableName": name, **changes})

    if settings.deletion_protection:
        yield (
            "deletion protection",
            lambda: bool(table().get("DeletionProtectionEnabled")),
            update(DeletionProtectionEnabled=True),
        )
    if settings.stream:
        wanted = {"StreamEnabled": True, "StreamViewType": settings.stream}
        yield (
            f"a stream of {settings.stream}",
            lambda: table().get("StreamSpecification") == wanted,
            update(StreamSpecification=wanted),
        )
    if settings.point_in_time_recovery:
        yield (
            "point-in-time recovery",
            lambda: _recovery(target, name) == "ENABLED",
            lambda: control(
                target,
                "UpdateContinuousBackups",
                {
                    "TableName": name,
                    "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
                },
            ),
        )
    if attribute := settings.time_to_live.get(entity):
        yield (
            f"time to live by {attribute}",
            lambda: _time_to_live(target, name) == attribute,
            lambda: control(
                target,
                "UpdateTimeToLive",
                {
                    "TableName": name,
                    "TimeToLiveSpecification": {"Enabled": True, "AttributeName": attribute},
                },
            ),
        )
    if settings.tags:
        tags = dict(settings.tags)
        yield (
            "tags",
            lambda: tags.items() <= _tags(target, arn).items(),
            lambda: _tag(target, arn, tags),
        )


def _make_so(
    run: Run, table: str, what: str, is_so: Callable[[], bool], change: Callable[[], object]
) -> None:
    """Change a setting unless it is so, and wait until it is. A table that is being changed takes
    no other change: it is asked again."""
    waited, asked = 0.0, False
    while not is_so():
        if not asked:
            try:
                change()
                asked = True
                continue
            except ResourceBusy:
                pass
        if waited >= _WITHIN:
            raise TargetError(
                f"the table {table} has no {what} after {_WITHIN / 60:.0f} minutes "
                "(load.newTables)",
                remedy=f"look at it in the AWS console; then: {again()}",
            )
        run.stop.sleep(_POLL_SECONDS)
        waited += _POLL_SECONDS


def _recovery(target: TargetConfig, table: str) -> str:
    answer = control(target, "DescribeContinuousBackups", {"TableName": table})
    found = answer["ContinuousBackupsDescription"].get("PointInTimeRecoveryDescription", {})
    return str(found.get("PointInTimeRecoveryStatus", ""))


def _time_to_live(target: TargetConfig, table: str) -> str:
    answer = control(target, "DescribeTimeToLive", {"TableName": table})
    found = answer["TimeToLiveDescription"]
    is_on = found["TimeToLiveStatus"] in ("ENABLED", "ENABLING")
    return str(found.get("AttributeName", "")) if is_on else ""


def _tags(target: TargetConfig, arn: str) -> dict[str, str]:
    found: dict[str, str] = {}
    request = {"ResourceArn": arn}
    while True:
        answer = control(target, "ListTagsOfResource", request)
        found.update((each["Key"], each["Value"]) for each in answer["Tags"])
        if not answer.get("NextToken"):
            return found
        request = {"ResourceArn": arn, "NextToken": answer["NextToken"]}


def _tag(target: TargetConfig, arn: str, tags: Mapping[str, str]) -> None:
    """TagResource answers with nothing at all."""
    named = [{"Key": key, "Value": value} for key, value in tags.items()]
    request = {"ResourceArn": arn, "Tags": named}
    ask(wire_to(target), RetryPolicy(_RETRIES, _DELAY), "TagResource", request, lambda _: None)
