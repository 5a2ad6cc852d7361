"""What S9 keeps of its log: right after it was told that it may forget it, and a while later."""

from __future__ import annotations

import time

import pytest

from extract.change_log.change_log import ChangeLog, Retained
from extract.change_log.postgresql import retained
from tests.integration.extract.change_log.postgresql.conftest import LivingS9
from tests.support.s9.logged import everything

MUCH = 2_000_000
FILL = "INSERT INTO elsewhere SELECT generate_series(1, 60000)"  # some three megabytes


def looked_at(log: ChangeLog, seconds: float) -> list[Retained]:
    found, until = [], time.monotonic() + seconds
    while time.monotonic() < until:
        found.append(log.retained())
        log.confirm(everything(log).position)
        log.let_forget()
        time.sleep(0.1)
    return found


def test_what_s9_was_told_to_forget_is_kept_for_a_moment(
    living: LivingS9, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retained, "GRACE", 4.0)
    with living.going_on() as log:
        living.run("UPDATE msg SET notes = 'x' WHERE first_id = 1", FILL)
        log.confirm(everything(log).position)
        log.let_forget()
        assert log.retained().bytes > MUCH
        living.run("CHECKPOINT")
        found = looked_at(log, 5)
    assert found[-1].bytes < MUCH and all(each.stuck < MUCH for each in found)


def test_an_open_transaction_is_named_that_holds_the_log(
    living: LivingS9, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retained, "GRACE", 0.5)
    with living.going_on() as log, living.writer() as writer, writer.cursor() as cursor:
        cursor.execute("UPDATE msg SET notes = 'x' WHERE first_id = 1")
        living.run(FILL, "CHECKPOINT")
        log.confirm(everything(log).position)
        log.let_forget()
        found = looked_at(log, 4)
        assert found[0].stuck == 0  # it was not told long enough ago
        assert found[-1].stuck > MUCH
        [holder] = found[-1].holders
        assert holder.startswith(f"process {writer.info.backend_pid} of ") and " since 2" in holder
        writer.rollback()
