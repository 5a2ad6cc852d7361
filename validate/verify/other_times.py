"""The times that another migration has given to rows without a time of their own.

They are no content of S9: a verification that has read S9 again has others, and where no file says
which ones were loaded, the table does.
"""

from __future__ import annotations

from collections.abc import Iterable

import orjson

from utils.dynamodb.item_content import STAMPS, Item, is_same
from utils.dynamodb.item_text import partition_key_of
from utils.dynamodb.table_spec import PARTITION_KEY, SORT_KEY
from utils.files.artifacts import lines_of
from validate.verify.bench import Bench

_TIMES = 20  # more are no such times

OtherTime = tuple[str, str]  # what the table has, and what this migration writes


def learn_times(bench: Bench, entity: str, pks: Iterable[bytes]) -> tuple[OtherTime, ...]:
    """The other times in items of these records (PKs as JSON texts) that are the same but for
    them. Raises TargetError."""
    manifest = bench.origin.manifest
    own = frozenset(filter(None, (manifest.migration_timestamp, manifest.updated_at)))
    wanted = frozenset(pks)
    found: dict[OtherTime, None] = {}
    for line in lines_of(bench.origin.workspace.transformed(entity)):
        if partition_key_of(line) not in wanted:
            continue
        item = orjson.loads(line)["Item"]
        stamped = [name for name in STAMPS if item.get(name, {}).get("S") in own]
        theirs = _read(bench, entity, item) if stamped else None
        if not theirs:
            continue
        if is_same({**theirs, **{name: item[name] for name in stamped}}, item):
            pairs = ((theirs[name]["S"], item[name]["S"]) for name in stamped if name in theirs)
            found.update(dict.fromkeys(pair for pair in pairs if pair[0] != pair[1]))
        if len(found) >= _TIMES:
            break
    return tuple(found)[:_TIMES]


def _read(bench: Bench, entity: str, item: Item) -> Item:
    key = {PARTITION_KEY: item[PARTITION_KEY], SORT_KEY: item[SORT_KEY]}
    request = {"TableName": bench.table(entity), "Key": key, "ConsistentRead": True}
    found: Item = bench.reader.ask("GetItem", request).get("Item", {})
    return found
