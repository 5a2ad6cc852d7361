"""What is kept of a load by import: the same as of a load in batches into an empty table.

So verification, sync, retry-quarantine, rollback and explain find what they know: the plan (all
lines new), the state, a picture of the table before (of nothing), and the file as it was loaded.
Everything here can be done again, and is, by whoever is killed in between.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from load.conflicts.conditional_load import publish_replaced
from load.conflicts.only_in_target import OnlyInTarget
from load.conflicts.survey import forget_requests, state_of
from load.conflicts.table_pictures import picture_of_nothing
from load.load_report import EntityLoad
from load.load_settings import settings
from load.load_state import stay_with_tables
from load.s3_import.import_state import ImportState
from load.undoable_loads import drop_others, keep_loaded, make_way
from load.writing.batch_writer import Outcome
from utils.config import json_name
from utils.entities import shape_of
from utils.files.artifacts import utc_now
from utils.files.line_marks import LineMarks
from utils.files.storage import make_directory
from utils.run.manifest import PhaseEntry
from utils.run.run import Run

PHASE = "load"
_GIGABYTE = 1 << 30


def record(run: Run, entity: str, state: ImportState) -> PhaseEntry:
    """The table has all of an entity's file: record it as a load of this run; returns the entry of
    the manifest."""
    files, table = run.workspace, run.config.target.table(entity)
    stay_with_tables(run, [entity])
    make_directory(files.undo)
    make_way(run, entity)
    LineMarks.create(files.plan(entity), state.bytes).close()
    forget_requests(run, entity)
    load = state_of(run, entity, picture_of_nothing(run, table, entity))
    load.began, load.wrote, load.complete = state.asked, True, True
    load.sent = [[0, state.bytes]]
    load.own_time = run.manifest.migration_timestamp
    load.only_in_target = OnlyInTarget().as_json()
    load.save()
    keep_loaded(run, entity)
    run.manifest.empty_as_of.setdefault(entity, run.manifest.created_at)
    # There was nothing to back up: whoever backs up before another load is not the first.
    run.manifest.backups[table] = [{"name": "", "complete": True, "at": utc_now()}]
    run.save()
    drop_others(run)
    publish_replaced(run, entity)
    return run.finish(
        PHASE,
        entity,
        inputs=run.sha_of(files.transformed(entity)),
        settings=settings(run, entity),
        result=_result(run, entity, state),
    )


def _result(run: Run, entity: str, state: ImportState) -> dict[str, Any]:
    """The figures of a load, as those of batches are; `import` are its own."""
    name = run.workspace.name_of(run.workspace.transformed(entity))
    source = run.manifest.artifacts[name]
    sent = Outcome(items=source.items, sent_bytes=state.bytes)
    return {
        **EntityLoad.of(sent, _seconds(state)).as_json(),
        "records": source.records,
        "items": source.items,
        "refused": 0,
        "refusedRecords": 0,
        "kept": 0,
        "keptRecords": 0,
        "keptAbsent": 0,
        "alreadyThere": 0,
        "replaced": 0,
        "takenAway": 0,
        "onlyInTarget": OnlyInTarget().as_json(),
        "otherTimestamps": [],
        "conditionalRequests": 0,
        "conditionalWriteUnits": 0,
        "import": {
            "table": state.table,
            "setting": json_name(shape_of(entity).table_setting),
            "arn": state.arn,
            "from": state.place,
            "objects": state.objects,
            "storedBytes": state.stored_bytes,
            "processedBytes": state.processed_bytes,
            "processedItems": state.processed,
            "importedItems": state.imported,
            "errors": state.errors,
            "price": round(_price(run, state), 4),
            "uploadSeconds": round(state.upload_seconds, 3),
            "importSeconds": round(_between(state.asked, state.ended), 3),
            "settings": run.config.load.new_tables.named(entity),
        },
    }


def _price(run: Run, state: ImportState) -> float:
    """What the import costs: it is asked for what was read, uncompressed."""
    return state.bytes / _GIGABYTE * run.config.prices.import_gigabyte


def _seconds(state: ImportState) -> float:
    return state.upload_seconds + _between(state.asked, state.ended)


def _between(began: str, ended: str) -> float:
    """Seconds between two moments as the state has them."""
    first, last = (datetime.fromisoformat(each.replace("Z", "+00:00")) for each in (began, ended))
    return max(0.0, (last - first).total_seconds())
