"""S9 is lost while it is read for something: it is asked again, and told with its reason."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from extract import engine, reread, single_record
from extract.checks import open_transactions
from extract.following import tables
from tests.conftest import S9Database
from tests.support.operators.operator import small_trade
from tests.support.records.content import content_of
from tests.support.s9.glass import ENTITIES, run_in, stop
from tests.support.s9.reading import opened
from utils.error_handler import BackOff, SourceUnavailable
from utils.run.run import Run

_HANG_UP = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
    "WHERE application_name = 's9-migrate' AND datname = current_database()"
)
_LOST = "The connection to S9 was lost"
_CHANGED = "A table of S9's was changed after the snapshot was taken"


def followed(run: Run) -> list[str]:
    return [each.table for each in tables.followed_tables(run, ENTITIES)]


def row(run: Run) -> bool:
    return bool(single_record.row_now(run, ENTITIES, "sales", 10, {}).line)


def keys(run: Run) -> list[int]:
    return single_record.keys_of_number(run, ENTITIES, "sales", 10, 2024)


def writing(run: Run) -> tuple[str, ...]:
    return open_transactions.writers_now(run).names


def again(run: Run) -> tuple[str, bytes]:
    if not run.manifest.phases:
        engine.extract(run, ENTITIES, tuple(ENTITIES), stop)
    reread.extract_again(run, ENTITIES, {"buyers": {1}, "sales": {11}})
    statement = str(run.manifest.snapshot["statement"]).split("; ", 1)[0]
    return statement, content_of(run.workspace.extracted("sales"))


ASKED: dict[str, tuple[Any, str, Callable[[Run], Any]]] = {
    "what is followed": (tables, "planned_of", followed),
    "a row": (single_record, "planned_of", row),
    "the keys of a number": (single_record, "planned_of", keys),
    "records of the quarantine": (reread, "planned_of", again),
    "who writes": (open_transactions, "writers", writing),
}


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("asked", ASKED)
def test_lost_on_the_way_it_is_asked_again(
    s9: S9Database,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    asked: str,
    times: int,
) -> None:
    small_trade(s9)
    module, step, ask = ASKED[asked]
    run = run_in(tmp_path, s9)
    expected = ask(run)
    lose(module, step, monkeypatch, lambda: s9.execute(_HANG_UP), times)
    with caplog.at_level(logging.WARNING):
        assert ask(run) == expected
    assert said(caplog) == [_LOST] * times


@pytest.mark.parametrize("asked", ASKED)
def test_lost_too_often_it_is_told_with_what_to_type(
    s9: S9Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: str
) -> None:
    small_trade(s9)
    module, step, ask = ASKED[asked]
    run = run_in(tmp_path, s9)
    ask(run)
    lose(module, step, monkeypatch, lambda: s9.execute(_HANG_UP), 3)
    with pytest.raises(SourceUnavailable, match="lost, and could not be opened again") as told:
        ask(run)
    assert told.value.remedy.startswith("when S9 answers again, run: python migrate.py")


@pytest.mark.parametrize(
    ("reason", "words", "given_up"),
    [
        ("TableRewritten", _CHANGED, "again and again: TableRewritten: msg was rewritten"),
        ("TableLocked", "A table of S9's is locked", "and stays so: TableLocked: msg was"),
    ],
)
def test_what_has_happened_is_told_with_its_reason(
    s9: S9Database,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    reason: str,
    words: str,
    given_up: str,
) -> None:
    small_trade(s9)

    def raised() -> None:
        raise BackOff(reason, "msg was rewritten")

    run = run_in(tmp_path, s9)
    lose(tables, "planned_of", monkeypatch, raised, 3)
    with pytest.raises(SourceUnavailable, match=given_up) as told:
        followed(run)
    assert "whoever changes the table" in told.value.remedy
    assert said(caplog) == [words] * 2


def test_an_index_that_is_made_meanwhile_disturbs_nobody(
    s9: S9Database,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    small_trade(s9)
    run = run_in(tmp_path, s9)
    lose(
        tables,
        "planned_of",
        monkeypatch,
        lambda: s9.execute("CREATE INDEX di_passaggio ON msg (total)"),
        1,
    )
    assert set(followed(run)) == {"msg", "msg_anag", "msg_line"}
    assert said(caplog) == []


def test_records_that_were_read_stay_and_the_moment_is_told_once(
    s9: S9Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lost between the entities, S9 having changed before: the buyers are not read another time,
    and what the manifest says is true of both moments."""
    small_trade(s9)
    run = run_in(tmp_path, s9)
    engine.extract(run, ENTITIES, tuple(ENTITIES), stop)
    s9.execute("UPDATE msg SET notes = 'x' WHERE first_id = 11")
    replaced: list[str] = []
    really = reread._replace

    def losing(run: Run, source: Any, entity: Any, wanted: Any) -> None:
        if len(replaced) in (0, 2):
            s9.execute(_HANG_UP)
        replaced.append(entity.name)
        really(run, source, entity, wanted)

    monkeypatch.setattr(reread, "_replace", losing)
    reread.extract_again(run, ENTITIES, {"buyers": {1}, "producers": set(), "sales": {10, 11}})
    assert replaced == ["buyers", "buyers", "sales", "sales"]
    statement = run.manifest.snapshot["statement"]
    assert statement.count("3 records of the quarantine were read again at") == 1
    assert statement.count("2 records of the quarantine were read again at") == 1
    assert statement.count("read again at") == 2


def lose(
    module: Any, step: str, monkeypatch: pytest.MonkeyPatch, happen: Callable[[], None], times: int
) -> None:
    """Let something happen before a step with S9 open is done, so many times."""
    really, left = getattr(module, step), times

    def done(*asked: Any, **further: Any) -> Any:
        nonlocal left
        if left:
            left -= 1
            happen()
        return really(*asked, **further)

    monkeypatch.setattr(module, step, done)


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was warned of, up to the details."""
    return [
        record.getMessage().partition(" (")[0]
        for record in caplog.records
        if record.levelno >= logging.WARNING
    ]


def test_a_table_that_mariadb_has_altered_since_is_told_as_such(
    s9_on_mysql: S9Database, tmp_path: Path
) -> None:
    with opened(s9_on_mysql, tmp_path) as source:
        s9_on_mysql.execute("ALTER TABLE msg ENGINE = InnoDB")
        with pytest.raises(BackOff) as found:
            source.tally("SELECT count(*) FROM msg")
    assert found.value.reason == "TableRewritten"
