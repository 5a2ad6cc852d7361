"""Asking DynamoDB for an import, waiting for its end, and judging it by counts, not by its status.

What the service does, as measured (scylladb/scylladb#31619) where it is otherwise than the API
reference says: a prefix that matches nothing is COMPLETED with an empty table; counts are 0 until
the end; the first line that cannot be used ends its object. Asked again with the same ClientToken,
it answers with the import that it has, and after its end with ResourceInUseException: the import is
found then by the place that it reads, which no other import has.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from load.s3_import.error_log import errors_of
from load.s3_import.import_state import ImportState
from load.target.aws_commands import delete_table
from load.target.tables import describe, table_request
from utils.dynamodb.client import ResourceBusy
from utils.dynamodb.retrying import control
from utils.dynamodb.table_spec import TableSpec
from utils.error_handler import TargetError
from utils.files.artifacts import utc_now
from utils.logger import get_logger
from utils.run.run import Run
from utils.telemetry.events import TableState
from utils.wording.figures import counted, lasting
from utils.wording.invocation import RESUME
from utils.wording.masking import scrub
from utils.wording.terminal import printable

_FIRST_POLL, _POLL_SECONDS, _LONGER = 0.2, 10.0, 1.5
_SAY_EVERY = 60.0
COMPLETED = "COMPLETED"
_GOING_ON = frozenset({"IN_PROGRESS", "CANCELLING"})

Description = Mapping[str, Any]


class ImportFailed(TargetError):
    """An import has ended, and the table is not what was to be imported."""


def ask(run: Run, spec: TableSpec, state: ImportState) -> None:
    """Have DynamoDB import what is in S3 into a new table, unless it is known to be at it; durable
    when this returns. Raises TargetError when there is a table of this name already."""
    if state.arn:
        return
    request = _request(run, spec, state)
    try:
        found: Description = control(run.config.target, "ImportTable", request)[
            "ImportTableDescription"
        ]
    except ResourceBusy:
        known = _import_of(run, state)
        if known is None:
            raise existing(run, state.table) from None
        found = known
    state.arn, state.table_arn = found["ImportArn"], found["TableArn"]
    state.table_id, state.status = found.get("TableId", ""), found["ImportStatus"]
    state.save()
    get_logger().info("DynamoDB imports %s from %s (%s)", state.table, state.place, state.arn)


def _request(run: Run, spec: TableSpec, state: ImportState) -> dict[str, Any]:
    """The request; that it may be sent is on disk."""
    if not state.asked:
        state.token, state.asked = uuid.uuid4().hex, utc_now()
        state.save()
    owner = {"S3BucketOwner": state.owner} if state.owner else {}
    return {
        "ClientToken": state.token,
        "S3BucketSource": {"S3Bucket": state.bucket, "S3KeyPrefix": state.prefix, **owner},
        "InputFormat": "DYNAMODB_JSON",
        "InputCompressionType": "GZIP",
        "TableCreationParameters": table_request(run.config.target, spec),
    }


def _import_of(run: Run, state: ImportState) -> Description | None:
    """The import that has made a table, if it reads what this one was to read: then it is ours, and
    its answer was lost."""
    table = describe(run.config.target, state.table)
    if table is None:
        return None
    for each in _imports_into(run, table["TableArn"]):
        source = each.get("S3BucketSource", {})
        if (source.get("S3Bucket"), source.get("S3KeyPrefix")) == (state.bucket, state.prefix):
            return each
    return None


def _imports_into(run: Run, table_arn: str) -> Iterator[Description]:
    request = {"TableArn": table_arn}
    while True:
        answer = control(run.config.target, "ListImports", request)
        yield from answer["ImportSummaryList"]
        if not answer.get("NextToken"):
            return
        request = {"TableArn": table_arn, "NextToken": answer["NextToken"]}


def existing(run: Run, table: str) -> TargetError:
    """The error for a table that is there and was to be made by an import."""
    return TargetError(
        f"the table {table} is there already, and an import from S3 makes its table itself",
        remedy="name a table that is not there in `target`; or, to write into this one, set "
        "load.method to batch; or, if nothing in it is needed, delete it: "
        f"{delete_table(run.config.target, table)}; then: {run.command('--full')}",
    )


def wait_for(run: Run, states: Mapping[str, ImportState]) -> None:
    """Wait until DynamoDB has ended the imports of entities. Raises Interrupted when a stop is
    asked for; the imports go on, and called again this waits on."""
    due = {entity: state for entity, state in states.items() if not state.ended}
    began = told = time.monotonic()
    pause = _FIRST_POLL
    with ExitStack() as stack:
        tasks = {
            entity: stack.enter_context(
                run.progress.task("load", entity, state.items, unit="items")
            )
            for entity, state in due.items()
        }
        while due:
            for entity, state in due.items():
                if _has_ended(run, state):
                    tasks[entity].advance(
                        state.processed, errors=state.errors, bytes=state.processed_bytes
                    )
            due = {entity: state for entity, state in due.items() if not state.ended}
            now = time.monotonic()
            if due and now - told >= _SAY_EVERY:
                told = now
                _say(run, due.values(), now - began)
            if due:
                run.stop.sleep(pause)
                pause = min(pause * _LONGER, _POLL_SECONDS)


def _say(run: Run, due: Iterable[ImportState], seconds: float) -> None:
    get_logger().info(
        "DynamoDB imports %s (for %s so far; it tells no counts before the end, and goes on if "
        "this command is stopped; to wait on: %s)",
        ", ".join(state.table for state in due),
        lasting(seconds),
        run.command(RESUME),
    )


def _has_ended(run: Run, state: ImportState) -> bool:
    """Look at an import; whether it has ended, which is on disk then."""
    found = described(run, state)
    if found["ImportStatus"] != state.status:
        run.events.emit(TableState(table=state.table, state=f"import {found['ImportStatus']}"))
    state.status = found["ImportStatus"]
    state.table_id = state.table_id or found.get("TableId", "")
    if state.status in _GOING_ON:
        return False
    state.ended = utc_now()
    state.processed = found.get("ProcessedItemCount", 0)
    state.imported = found.get("ImportedItemCount", 0)
    state.errors = found.get("ErrorCount", 0)
    state.processed_bytes = found.get("ProcessedSizeBytes", 0)
    state.save()
    return True


def described(run: Run, state: ImportState) -> Description:
    """What DynamoDB says of an import."""
    request = {"ImportArn": state.arn}
    answer: Description = control(run.config.target, "DescribeImport", request)
    found: Description = answer["ImportTableDescription"]
    return found


def judge(run: Run, state: ImportState) -> None:
    """Raise ImportFailed unless every item of the file was imported, by DynamoDB's own counts, into
    the table that it has made for it."""
    counts = state.processed, state.imported, state.errors
    if state.status != COMPLETED or counts != (state.items, state.items, 0):
        found = described(run, state)
        state.failed = _why(state, found)
        state.save()
        group = found.get("CloudWatchLogGroupArn", "")
        errors = errors_of(run.config.target, state.arn, group) if _has_errors(state) else []
        raise _failed(run, state, errors)
    table = describe(run.config.target, state.table)
    now = (table or {}).get("TableId", "")
    if table is None or (state.table_id and now and now != state.table_id):
        state.failed = "the table that was imported is not there any more"
        state.save()
        raise _failed(run, state, [])
    state.table_id = state.table_id or now


def _has_errors(state: ImportState) -> bool:
    return bool(state.errors) or state.status != COMPLETED


def _why(state: ImportState, found: Description) -> str:
    """What has become of an import, in words."""
    code, message = (
        printable(scrub(str(found.get(name) or ""))) for name in ("FailureCode", "FailureMessage")
    )
    counts = (
        f"of {counted(state.items, 'item')} it has processed {state.processed:,} and imported "
        f"{state.imported:,}, with {counted(state.errors, 'error')}"
    )
    if state.status != COMPLETED:
        why = f", {code}" if code else ""
        why += f" ({message.rstrip('.')})" if message else ""
        return f"it is {state.status}{why}; {counts}"
    if not state.processed:
        return (
            f"it says that it is {COMPLETED}, and has read nothing: {counts}. There is nothing "
            "where it looked, or what answers only pretends to import"
        )
    return f"it says that it is {COMPLETED}, but {counts}"


def _failed(run: Run, state: ImportState, errors: Sequence[str]) -> ImportFailed:
    listed = "".join(f"\n  - {each}" for each in errors)
    return ImportFailed(
        f"the import of {state.table} is of no use: {state.failed}{listed}",
        remedy=f"fix the cause; delete the table, if there is one, which nobody has used yet: "
        f"{delete_table(run.config.target, state.table)}; then: {run.command('--resume')} (the "
        "files in S3 are used again). Or keep what was imported and have the rest written: set "
        f"load.method to batch, then: {run.command('--resume')}",
    )


def is_gone(run: Run, state: ImportState) -> bool:
    """Whether nothing is left of an import that was of no use."""
    return describe(run.config.target, state.table) is None
