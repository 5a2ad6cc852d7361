"""Files of a run that somebody has written anew, so that they agree with a damaged target and with
each other: every SHA-256, every count, in every place."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import orjson

from tests.support.damage.reported import Item
from tests.support.damage.tables import HEADER, Contents
from tests.support.operators.operator import Operator
from utils.entities import ENTITY_NAMES


def forge(operator: Operator, tables: Contents) -> None:
    """Have everything in a data directory say that these tables are what was migrated."""
    forge_files(operator.data, tables)


def forge_files(data: Path, tables: Contents) -> None:
    """The same, of the directory of any run."""
    path = data / "manifest.json"
    manifest = orjson.loads(path.read_bytes())
    for entity in ENTITY_NAMES:
        records = _records(data / "transformed" / f"{entity}.json", tables[entity].values())
        items = [item for record in records for item in record]
        _forge_rows(data, entity, manifest, records)
        text = b"".join(orjson.dumps({"Item": item}) + b"\n" for item in items)
        _replace(data, f"transformed/{entity}.json", manifest, text, len(records), len(items))
        loaded = data / "undo" / f"{entity}.loaded"
        if loaded.exists():
            loaded.write_bytes(text)
        _correct_figures(manifest, entity, len(records), len(items))
        _remove_sums(data, entity, manifest)
    text = orjson.dumps(manifest, option=orjson.OPT_INDENT_2)
    for old, new in manifest.pop("renamed", {}).items():
        text = text.replace(old.encode(), new.encode())
        for state in (data / "undo").glob("*.json"):
            state.write_bytes(state.read_bytes().replace(old.encode(), new.encode()))
    forged = orjson.loads(text)
    forged.pop("renamed", None)
    path.write_bytes(orjson.dumps(forged, option=orjson.OPT_INDENT_2))


def _remove_sums(data: Path, entity: str, manifest: Any) -> None:
    """What S9 has added up would not agree: it is as if an earlier version had extracted."""
    name = f"extracted/{entity}.sums.json"
    (data / name).unlink(missing_ok=True)
    manifest["artifacts"].pop(name, None)


def _records(transformed: Path, items: Iterable[Item]) -> list[list[Item]]:
    """Items as records, in the order of the file that there was; others come last."""
    under: dict[str, list[Item]] = {}
    for line in transformed.read_bytes().splitlines():
        under.setdefault(orjson.loads(line)["Item"]["PK"]["S"], [])
    for item in items:
        if "legacyId" in item:
            under.setdefault(item["PK"]["S"], []).append(item)
    records = [
        sorted(record, key=lambda item: (item["SK"]["S"] != HEADER, item["SK"]["S"]))
        for record in under.values()
    ]
    return [record for record in records if record]


def _forge_rows(data: Path, entity: str, manifest: Any, records: list[list[Item]]) -> None:
    """The extracted rows are those of these records; of one that has none, another's."""
    path = data / "extracted" / f"{entity}.json"
    rows = {str(row["first_id"]): row for row in map(orjson.loads, path.read_bytes().splitlines())}
    spare = next(iter(rows.values()))
    chosen = []
    for record in records:
        row = dict(rows.get(record[0]["legacyId"].get("S", ""), spare))
        if "lines" in row:
            row["lines"] = (row["lines"] * len(record) or [{"id": 1}] * len(record))[
                : len(record) - 1
            ]
        chosen.append(row)
    text = b"".join(orjson.dumps(row) + b"\n" for row in chosen)
    items = sum(map(len, records))
    _replace(data, f"extracted/{entity}.json", manifest, text, len(records), items)


def _replace(data: Path, name: str, manifest: Any, text: bytes, records: int, items: int) -> None:
    """A file has another text, and its entry says so."""
    path = data / name
    path.write_bytes(text)
    entry = manifest["artifacts"][name]
    sha = hashlib.sha256(text).hexdigest()
    manifest.setdefault("renamed", {})[entry["sha256"]] = sha
    entry.update(sha256=sha, records=records, items=items, bytes=len(text))


def _correct_figures(manifest: Any, entity: str, records: int, items: int) -> None:
    """What the phases say that they have counted."""
    phases = {
        name: each[entity]["result"] for name, each in manifest["phases"].items() if entity in each
    }
    extract = phases["extract"]
    extract["source"] = {"records": records, "items": items}
    table = extract["table"]
    table["rows"] += records - table["selected"]
    table["selected"] = records
    if "lines" in table:
        table["lines"]["rows"] += items - records - table["lines"]["selected"]
        table["lines"]["selected"] = items - records
    for name in ("transform", "load"):
        if name in phases:
            phases[name].update(records=records, items=items)
