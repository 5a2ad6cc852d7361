"""Which files are kept in S3, and when others rely on them."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from utils.entities import ENTITY_NAMES
from utils.files.parts import files_of, write_list
from utils.files.storage import partial_of
from utils.files.workspace import Workspace
from utils.fleet.part_files import writing
from utils.working_copy.kinds import (
    holds_kept_items,
    is_barrier,
    is_kept_in_s3,
    is_looked_at,
    names_in,
)

FILES = Workspace(Path("/data"))


def name(path: object) -> str:
    return str(path).removeprefix("/data/")


@pytest.mark.parametrize("entity", ENTITY_NAMES)
def test_what_a_load_is_resumed_and_undone_by_is_kept(entity: str) -> None:
    of = [FILES.extracted, FILES.transformed, FILES.quarantine, FILES.plan, FILES.before]
    of += [FILES.load_state, FILES.loaded, FILES.removed, FILES.staying, FILES.repair_steps]
    assert [path for path in of if not is_kept_in_s3(name(path(entity)))] == []
    assert not [path for path in of if is_kept_in_s3(name(partial_of(path(entity))))]
    assert is_barrier(name(FILES.load_state(entity)))
    assert is_barrier(name(FILES.import_state(entity)))
    assert holds_kept_items(name(FILES.before(entity)))
    assert holds_kept_items(name(FILES.repair_steps(entity)))
    assert holds_kept_items(f"undo/earlier/0123abcd-{entity}/{entity}.before")


def test_what_others_rely_on_goes_before_they_do() -> None:
    for path in (FILES.manifest, FILES.cutover, FILES.repair_state, FILES.following):
        assert is_barrier(name(path)), path
        assert is_kept_in_s3(name(path)), path


@pytest.mark.parametrize(
    "left",
    [
        ".lock",
        ".working-copy.json",
        ".scratch/x",
        ".push/0",
        ".journal-sales",
        "manifest.json.tmp",
        "undo/sales.before-journal",
        "backups/SalesTable-20260130-080000.partial/items-00-0000.json.gz",
        "dry-run/manifest.json",
        "from-source/extracted/sales.json",
        "sync/sales.transform.json",
    ],
)
def test_what_is_half_or_scratch_is_not(left: str) -> None:
    assert not is_kept_in_s3(left)


def test_who_looks_needs_no_records() -> None:
    looked_at = ("manifest.json", "events.jsonl", "reports/load_report.json", "undo/sales.json")
    assert all(is_looked_at(each, 1_000) for each in looked_at)
    assert is_looked_at("backups/SalesTable-20260130-080000/backup.json", 1_000)
    for each in ("transformed/sales.json", "undo/sales.before", "quarantine/sales.json"):
        assert not is_looked_at(each, 1_000)
    assert not is_looked_at("something", 1 << 30)


def test_parts_are_kept_when_they_are_an_artifact(tmp_path: Path) -> None:
    for path in (tmp_path / "transformed" / "sales.json", tmp_path / "undo" / "sales.loaded"):
        path.parent.mkdir()
        with writing(path, 0) as part:
            part.output.write(b"a line\n", records=1, items=1)
        with writing(path, 0) as twin:
            twin.output.write(b"a line\n", records=1, items=1)
        assert not list(names_in(tmp_path))
        write_list(path, [part.written])
        assert {found for _, found in names_in(tmp_path)} == {path, *(f for _, f in files_of(path))}
        path.unlink()


def test_what_is_being_replaced_is_kept_with_what_replaces_it(tmp_path: Path) -> None:
    path, names = tmp_path / "transformed" / "sales.json", set[Path]()
    path.parent.mkdir()
    for to in (path, partial_of(path)):
        with writing(path, 0) as part:
            part.output.write(b"a line\n", records=1, items=1)
        write_list(to, [part.written], of=path)
        names |= {to, path.with_suffix("") / part.written.name}
    manifest = tmp_path / "manifest.json"
    manifest.write_bytes(orjson.dumps({"coming": {"transformed/sales.json": {}, "gone": {}}}))
    assert {found for _, found in names_in(tmp_path)} == {manifest, *names}
    manifest.write_bytes(orjson.dumps({"coming": {}}))
    assert len(list(names_in(tmp_path))) == 3
