"""Partition keys of records that are known by their number in S9."""

from __future__ import annotations

from collections.abc import Collection

from load.writing.batches import record_key
from utils.dynamodb.item_text import legacy_id_of
from utils.files.artifacts import lines_of, starts_record
from utils.run.run import Run


def keys_of(run: Run, entity: str, legacy_ids: Collection[str]) -> frozenset[str]:
    """The partition keys of the transformed records with these legacy ids."""
    wanted = {legacy_id.encode() for legacy_id in legacy_ids}
    return frozenset(
        record_key(line)
        for line in filter(starts_record, lines_of(run.workspace.transformed(entity)))
        if legacy_id_of(line) in wanted
    )
