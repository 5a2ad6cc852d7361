"""The ledger closes when every station accounts for every record, and says where it does not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.records.transformed import Migration, sale
from utils.error_handler import ArtifactError
from utils.run.run import Run
from validate.compare_counts import Count, Ledger, close_ledger, count_refusals

ITEMS = 3 + 3 + 4  # METADATA and two, two, three lines
WHOLE = Count(3, ITEMS)


@pytest.fixture
def migration(tmp_path: Path) -> Migration:
    made = Migration(tmp_path, "http://127.0.0.1:9")
    made.records = {"sales": [sale(1, lines=2), sale(2, lines=2), sale(3, lines=3)]}
    made.refused = {"sales": 2}
    return made


def ledger(run: Run, target: Count = WHOLE, transformed: Count = WHOLE) -> Ledger:
    return close_ledger(
        run,
        "sales",
        transformed=transformed,
        refusals=count_refusals(run, "sales"),
        target=target,
    )


def restate(run: Run, phase: str, **figures: Any) -> None:
    """Change what a phase has left in the manifest."""
    entry = run.manifest.phases[phase]["sales"]
    run.manifest.record(phase, "sales", replace(entry, result={**entry.result, **figures}))


def test_it_closes_with_records_in_quarantine(migration: Migration) -> None:
    closed = ledger(migration.write())
    assert closed.problems == ()
    assert closed.closes
    assert closed.quarantined == Count(2, 2)
    assert closed.source == Count(5, ITEMS + 2)


@pytest.mark.parametrize(
    ("phase", "figures", "sentence"),
    [
        (
            "extract",
            {"source": {"records": 6, "items": ITEMS + 2}},
            "S9 has 6 records and 12 items, the extract has 5 records and 12 items",
        ),
        (
            "load",
            {"items": ITEMS - 1},
            "the transformed file has 3 records and 10 items, "
            "loaded + refused + kept is 3 records and 9 items",
        ),
        (
            "load",
            {"records": 2, "items": 7, "refused": 3, "refusedRecords": 1},
            "the load refused 1 record and 3 items, its quarantine has 0 records and 0 items",
        ),
        ("extract", {"source": None}, "S9 has no figures, the extract has 5 records and 12 items"),
    ],
)
def test_the_equation_that_does_not_close_is_named(
    migration: Migration, phase: str, figures: Mapping[str, Any], sentence: str
) -> None:
    run = migration.write()
    restate(run, phase, **figures)
    assert sentence in ledger(run).problems


def test_the_target_has_the_last_word_over_the_load(migration: Migration) -> None:
    problems = ledger(migration.write(), target=Count(2, ITEMS - 3)).problems
    assert problems == (
        "the load wrote 3 records and 10 items, the target has 2 records and 7 items",
    )


def test_a_record_lost_between_extract_and_transform_is_named(migration: Migration) -> None:
    run = migration.write()
    path = migration.workspace.extracted("sales")
    entry = run.manifest.artifacts["extracted/sales.json"]
    run.publish(path, replace(entry, records=entry.records + 1, items=entry.items + 1))
    restate(run, "extract", source={"records": 6, "items": ITEMS + 3})
    assert ledger(run).problems == (
        "the extract has 6 records and 13 items, "
        "transformed + quarantined is 5 records and 12 items",
    )


def test_a_file_with_other_counts_than_the_manifest_says_is_named(migration: Migration) -> None:
    run = migration.write()
    problems = ledger(run, transformed=Count(3, ITEMS - 1)).problems
    assert (
        "the manifest says of the transformed file 3 records and 10 items, "
        "it has 3 records and 9 items"
    ) in problems


def test_records_refused_at_load_are_counted_once(migration: Migration) -> None:
    migration.refused = {}
    run = migration.write()
    migration.quarantine(run, "sales", "load", ["3"], items=4)
    restate(run, "load", records=2, items=6, refused=4, refusedRecords=1)
    closed = ledger(run, target=Count(2, 6))
    assert closed.problems == ()
    assert closed.quarantined == Count(0, 0)
    assert count_refusals(run, "sales").at_load_ids == {"3"}


def test_a_load_of_an_older_file_is_named(migration: Migration) -> None:
    run = migration.write()
    entry = run.manifest.phases["load"]["sales"]
    run.manifest.record(
        "load", "sales", replace(entry, inputs={"transformed/sales.json": "another"})
    )
    (problem,) = ledger(run).problems
    assert problem.startswith("the load read a different transformed/sales.json")


def test_without_a_load_the_remedy_is_to_load(migration: Migration) -> None:
    run = migration.write()
    run.manifest.forget("load", "sales")
    problems = ledger(run).problems
    assert "the load is not complete: python migrate.py --phase load --entity sales" in problems


def test_a_quarantine_that_was_edited_is_refused(migration: Migration) -> None:
    run = migration.write()
    path = migration.workspace.quarantine("sales")
    path.write_bytes(path.read_bytes() + path.read_bytes())
    with pytest.raises(ArtifactError, match="quarantine"):
        count_refusals(run, "sales")
