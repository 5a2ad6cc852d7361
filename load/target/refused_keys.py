"""Records that DynamoDB is going to refuse because of an index that the Sale Module does not name:
the key of an index must not be empty, nor too long."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from load.target.tables import further_keys
from utils.dynamodb.table_spec import TableSpec
from utils.error_handler import ExitCode
from utils.files.artifacts import starts_record
from utils.files.line_marks import CONDITIONAL, NEW, LineMarks
from utils.plan.verdict import Obstacle, Stage
from utils.run.run import Run
from utils.wording.figures import counted
from utils.wording.invocation import again

_LONGEST = {"HASH": 2048, "RANGE": 1024}  # bytes
_NEARLY_ALL, _FEW = 0.8, 3  # as load/refusals.py has it


@dataclass(frozen=True)
class _Key:
    """A key attribute of a further index."""

    kind: str
    attribute: str
    index: str

    def refuses(self, item: Mapping[str, Any]) -> bool:
        value = item.get(self.attribute)
        if not isinstance(value, dict) or "S" not in value:
            return False
        return not 0 < len(value["S"].encode()) <= _LONGEST[self.kind]


def obstacles_of_indexes(
    run: Run, spec: TableSpec, description: Mapping[str, Any] | None
) -> Iterator[Obstacle]:
    """What DynamoDB refuses of what the plan of the load writes to a table (`description` is what
    DescribeTable says of it)."""
    keys = [_Key(*key) for key in further_keys(spec, description or {})]
    plan = run.workspace.plan(spec.entity)
    if not keys or not plan.exists():
        return
    refused, first, key = _refused(run, spec, keys)
    records = run.manifest.artifacts[f"transformed/{spec.entity}.json"].records
    if not refused or key is None:
        return
    tolerant = run.config.migration.continue_on_error
    nearly_all = refused >= max(_FEW, _NEARLY_ALL * records)
    stops = nearly_all or not tolerant
    one = spec.entity.removesuffix("s")
    yield Obstacle(
        Stage.LOAD if stops else Stage.HELD_BACK,
        f"DynamoDB will refuse {counted(refused, one)}: {key.attribute}, a key of the index "
        f"{key.index} of {run.config.target.table(spec.entity)}, is empty or too long there, for "
        f"example in {one} {first}",
        f"correct them in S9, or delete that index; then look again: {again()}",
        ExitCode.FAILED if stops else ExitCode.QUARANTINED,
        count=refused,
    )


def _refused(run: Run, spec: TableSpec, keys: Sequence[_Key]) -> tuple[int, str, _Key | None]:
    """How many records are refused, the first of them by its key in S9, and for which key."""
    count, first, why = 0, "", None
    record, is_refused = "", False
    with LineMarks(run.workspace.plan(spec.entity)) as plan:
        for _, line, mark in plan.lines_of(run.workspace.transformed(spec.entity)):
            item = orjson.loads(line)["Item"]
            if starts_record(line):
                record, is_refused = item.get("legacyId", {}).get("S", ""), False
            if is_refused or not (mark == NEW or mark in CONDITIONAL):
                continue
            found = next((key for key in keys if key.refuses(item)), None)
            if found:
                is_refused, count = True, count + 1
                first, why = first or record, why or found
    return count, first, why
