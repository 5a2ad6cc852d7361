"""What becomes of the log when something happens to the server, the slot, the tables, the rights:
it goes on, or says that everything is to be compared; never does it miss anything in silence."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from extract.change_log.postgresql import slot_log, slots, stream
from extract.change_log.postgresql.positions import position_of
from extract.following.opening import drop_log, leftovers, open_log
from tests.integration.extract.change_log.postgresql.conftest import LivingS9
from tests.support.s9.logged import FOLLOWED, everything
from tests.support.s9.wire import wire_to
from utils.error_handler import SourceError, SourceUnavailable
from utils.interrupt import Interrupted, StopFlag
from utils.logger import get_logger

CHANGE = "UPDATE msg SET notes = 'x' WHERE first_id = {}"


def begun(living: LivingS9) -> None:
    with living.going_on():
        pass


def position_in_s9(living: LivingS9) -> int:
    [[found]] = living.rows(
        "SELECT (confirmed_flush_lsn - '0/0')::bigint FROM pg_replication_slots "
        f"WHERE left(slot_name, {len(living.name)}) = '{living.name}'"
    )
    return int(found)


def wait_until(living: LivingS9, query: str) -> None:
    deadline = time.monotonic() + 20
    while not all(living.rows(query)[0]):
        assert time.monotonic() < deadline, query
        time.sleep(0.02)


def drop_slot_of(living: LivingS9) -> None:
    """As a DBA does; the server may not have noticed yet that it is free."""
    wait_until(living, f"SELECT NOT active FROM pg_replication_slots WHERE {named(living)}")
    living.run(f"SELECT pg_drop_replication_slot('{living.name}')")


def named(living: LivingS9) -> str:
    return f"slot_name = '{living.name}'"


def test_what_was_not_confirmed_comes_again(living: LivingS9) -> None:
    with living.going_on() as log:
        living.run(CHANGE.format(1))
        log.confirm(everything(log).position)
        living.run(CHANGE.format(2))
        assert everything(log).keys == {"msg": {2}}
    with living.going_on() as log:
        found = everything(log)
        assert (found.keys, found.whole) == ({"msg": {2}}, set())
        log.confirm(found.position)
        log.confirm(found.position)
        log.confirm("0/1#7")
    with living.going_on() as log:
        assert everything(log).is_empty


def test_who_is_killed_before_everything_was_compared_begins_anew_again(
    living: LivingS9,
) -> None:
    for _ in range(2):
        with living.follow() as log:
            assert log.begins_anew == "it is followed for the first time"
            assert log.state() == {}
            assert log.read(0).is_empty
    begun(living)


def test_an_idle_publication_does_not_hold_the_log_of_a_busy_server(
    living: LivingS9, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And S9 is never told that it may forget more than is known to be done here."""
    monkeypatch.setattr(stream, "SPEAK_EVERY", 0.2)
    monkeypatch.setattr(slot_log, "_BEAT_AFTER", 50_000)
    with living.going_on() as log:
        kept = before = position_in_s9(living)
        living.run("INSERT INTO elsewhere SELECT generate_series(1, 2000)")
        deadline = time.monotonic() + 20
        while position_in_s9(living) < before + 100_000:
            assert time.monotonic() < deadline
            found = log.read(0.2)
            assert found.is_empty
            log.confirm(found.position)
            time.sleep(0.3)
            assert position_in_s9(living) <= kept  # how far it is done may not be kept yet
            kept = position_of(log.state()["position"].partition("#")[0])
            log.let_forget()


def test_a_slot_that_was_read_further_than_is_known_leads_to_a_comparison(
    living: LivingS9,
) -> None:
    """From another data directory, or from this one before it was restored."""
    begun(living)
    copy = dict(living.known)
    with living.going_on() as log:
        living.run(CHANGE.format(1))
        log.confirm(everything(log).position)
    living.known, ahead = copy, living.known
    for _ in range(2):  # also when it was not compared the first time
        with living.follow() as log:
            assert "was read further than is known here" in log.begins_anew or (
                "is not there any more" in log.begins_anew
            )
            assert log.state() == copy
    with living.follow() as log:
        log.confirm(log.read(0).position)
    living.known = ahead  # and the other one learns of it, too
    with living.follow() as log:
        assert log.begins_anew == f"the slot {living.name} is not there any more"


@pytest.mark.parametrize("is_pending", [False, True])
def test_a_server_that_shuts_down_does_not_wait_for_who_reads_its_log(
    living: LivingS9, is_pending: bool
) -> None:
    """It would wait until all is confirmed, and what is being brought over lasts."""
    with living.going_on() as log:
        if is_pending:
            living.run(CHANGE.format(1))
        living.connection.close()
        began = time.monotonic()
        living.server.stop()
        took = time.monotonic() - began
        living.server.start()
        living.again()
        assert took < 5
        assert everything(log).keys == ({"msg": {1}} if is_pending else {})


def test_a_restart_of_the_server_goes_unnoticed(living: LivingS9) -> None:
    with living.going_on() as log:
        living.run(CHANGE.format(1))
        first = everything(log)
        assert first.keys == {"msg": {1}}
        living.server.restart(immediate=True)
        with living.writer() as writer, writer.cursor() as cursor:
            cursor.execute(CHANGE.format(2))
            writer.commit()
        found = everything(log)
        assert (found.keys | {"msg": found.keys["msg"] | {1}}, found.whole) == (
            {"msg": {1, 2}},
            set(),
        )
        log.confirm(found.position)
    living.again()


def test_a_server_that_stays_away_is_unavailable_and_followed_again_when_it_is_back(
    living: LivingS9,
) -> None:
    begun(living)
    living.config = replace(living.config, connection_timeout=1)
    with living.going_on() as log:
        living.server.stop()
        with pytest.raises(SourceUnavailable):
            for _ in range(3):
                log.read(3)
        living.server.start()
        living.again()
        living.run(CHANGE.format(3))
        found = everything(log)
        assert (found.keys, found.whole) == ({"msg": {3}}, set())


def test_a_broken_network_is_got_over_though_the_server_has_not_noticed(
    living: LivingS9,
) -> None:
    """It would go on serving who is gone, and nobody else, for wal_sender_timeout."""
    begun(living)
    with wire_to(living.server.port) as wire:
        living.config = replace(living.config, port=wire.port)
        with living.going_on() as log:
            wire.breaks()
            living.run(CHANGE.format(1))
            found = everything(log)
            assert (found.keys, found.whole) == ({"msg": {1}}, set())
            wire.breaks()
        with living.going_on() as log:
            assert everything(log).keys == {"msg": {1}}
    living.config = replace(living.config, port=living.server.port)


def test_who_reads_the_log_may_be_ended_by_a_dba(living: LivingS9) -> None:
    with living.going_on() as log:
        for how in ("terminate", "cancel"):
            living.run(
                f"SELECT pg_{how}_backend(active_pid) FROM pg_replication_slots "
                f"WHERE {named(living)}",
                CHANGE.format(1),
            )
            found = everything(log)
            assert (found.keys, found.whole) == ({"msg": {1}}, set())


def test_a_slot_that_was_dropped_leads_to_a_comparison(living: LivingS9) -> None:
    begun(living)
    drop_slot_of(living)
    living.run(CHANGE.format(1))
    for _ in range(2):  # also when it was not compared the first time
        with living.follow() as log:
            assert log.begins_anew == f"the slot {living.name} is not there any more"
    with living.follow() as log:
        log.confirm(log.read(0).position)
        living.run(CHANGE.format(2))
    with living.going_on() as log:
        assert everything(log).keys == {"msg": {2}}


def test_a_slot_that_is_lost_while_it_is_read_leads_to_a_comparison(living: LivingS9) -> None:
    with living.going_on() as log:
        living.run(
            f"SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots "
            f"WHERE {named(living)}"
        )
        drop_slot_of(living)
        reasons: set[str] = set()
        deadline = time.monotonic() + 20
        while not reasons and time.monotonic() < deadline:
            reasons = log.read(1).whole
        [reason] = reasons
        assert living.name in reason
        living.run(CHANGE.format(1))
        assert everything(log).keys == {"msg": {1}}
    # It was not confirmed that everything was compared.
    with living.follow() as log:
        assert log.begins_anew == f"the slot {living.name} is not there any more"


def test_a_comparison_is_not_forgotten_when_beginning_anew_fails_midway(
    living: LivingS9, monkeypatch: pytest.MonkeyPatch
) -> None:
    with living.going_on() as log:
        living.run(f"DROP PUBLICATION {living.name}", CHANGE.format(1))
        with monkeypatch.context() as failing:
            failing.setattr(slot_log, "begin", _is_lost)  # when the new slot is there
            with pytest.raises(SourceUnavailable):
                log.read(0)
        before = everything(log)
        assert before.whole
        # Once more, before it was compared: then it is not compared by that.
        living.run(f"DROP PUBLICATION {living.name}")
        assert everything(log).whole
        log.confirm(before.position)
    with living.follow() as log:
        assert log.begins_anew


def _is_lost(*_: object) -> None:
    raise SourceUnavailable("the connection was lost", remedy="try again")


def test_a_slot_of_another_kind_is_made_anew(living: LivingS9) -> None:
    begun(living)
    drop_slot_of(living)
    living.run(f"SELECT pg_create_physical_replication_slot('{living.name}')")
    with living.follow() as log:
        assert log.begins_anew == f"the slot {living.name} is another one now"


def test_a_slot_that_the_server_gave_up_is_made_anew(living: LivingS9) -> None:
    begun(living)
    living.run("ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'", "SELECT pg_reload_conf()")
    try:
        with living.going_on() as log:
            assert log.retained().budget == 1 << 20
        fill = ["SELECT pg_switch_wal()", "INSERT INTO elsewhere VALUES (1)", "CHECKPOINT"] * 3
        living.run(*fill)
        with living.follow() as log:
            assert log.begins_anew.startswith(f"the slot {living.name} was given up by the server")
            assert log.retained().trouble == ""
            log.confirm(log.read(0).position)
            # Also while it is read, by somebody who confirms nothing.
            living.run(CHANGE.format(1))
            assert everything(log).keys == {"msg": {1}}
            living.run(*fill)
            [reason] = everything(log).whole
            assert "cannot be read any more" in reason
    finally:
        living.run("ALTER SYSTEM RESET max_slot_wal_keep_size", "SELECT pg_reload_conf()")


def test_another_server_or_another_history_leads_to_a_comparison(living: LivingS9) -> None:
    for key, value, told in (
        ("timeline", "7", "another server has taken over"),
        ("system", "1", "this is another database"),
        ("position", "FFFF/0#1", "S9 was set back"),
        ("tables", "?", "what was kept of it cannot be read"),
    ):
        living.known = {}
        begun(living)
        living.known = {**living.known, key: value}
        with living.follow() as log:
            assert log.begins_anew.startswith(told)


@pytest.mark.parametrize(
    "statements",
    [
        ["DROP TABLE msg_line", "CREATE TABLE msg_line (id int PRIMARY KEY, msg_id int)"],
        ["ALTER TABLE msg_line ADD COLUMN more text DEFAULT 'x'"],
        ["ALTER TABLE msg_line ALTER COLUMN quantity TYPE int USING quantity * 2"],
        ["TRUNCATE msg_line"],
    ],
    ids=["made anew", "another column", "rewritten", "emptied"],
)
@pytest.mark.parametrize("while_it_is_read", [True, False])
def test_what_befalls_a_table_as_a_whole_leads_to_a_comparison(
    living: LivingS9, statements: list[str], while_it_is_read: bool
) -> None:
    begun(living)
    if not while_it_is_read:
        living.run(*statements)
        with living.follow() as log:
            assert log.begins_anew or everything(log).whole
            living.run("INSERT INTO msg_line (id, msg_id) VALUES (900, 9)")
            assert everything(log).parents == {"msg_line": {9}}
        return
    with living.going_on() as log:
        living.run(*statements)
        assert all("msg_line" in reason for reason in everything(log).whole or {""})
        living.run("INSERT INTO msg_line (id, msg_id) VALUES (900, 9)")
        found = everything(log)
        assert (found.parents, found.whole) == ({"msg_line": {9}}, set())


def test_a_publication_that_loses_a_table_is_mended(living: LivingS9) -> None:
    with living.going_on() as log:
        living.run(f"ALTER PUBLICATION {living.name} DROP TABLE msg", CHANGE.format(1))
        assert everything(log).whole == {f"the publication {living.name} does not publish msg"}
        living.run(CHANGE.format(2))
        log.confirm(everything(log).position)
        living.run(f"DROP PUBLICATION {living.name}", CHANGE.format(3))
        assert everything(log).whole
        living.run(CHANGE.format(4))
        found = everything(log)
        assert (found.keys, found.whole) == ({"msg": {4}}, set())


def test_s9_is_never_kept_from_changing_a_table(living: LivingS9) -> None:
    """Without a replica identity a published table takes no UPDATE."""
    with living.going_on() as log:
        living.run("ALTER TABLE msg DROP CONSTRAINT msg_pkey")
        with pytest.raises(SourceError, match="would not tell which rows of msg were changed"):
            log.read(0)
        living.run(CHANGE.format(1))
        living.run("ALTER TABLE msg ADD PRIMARY KEY (first_id)")
        assert everything(log).whole
        living.run(CHANGE.format(2))
        assert everything(log).keys == {"msg": {2}}


def test_two_followers_of_one_log(living: LivingS9, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slots, "PATIENCE", 0.3)
    with living.going_on() as log:
        [[pid]] = living.rows(
            f"SELECT active_pid FROM pg_replication_slots WHERE slot_name = '{living.name}'"
        )
        for known in (living.known, {}):
            with pytest.raises(SourceError, match=f"followed already: process {pid} of") as raised:
                open_log(living.config, None, FOLLOWED, living.name, known)
            assert "--stop" in raised.value.remedy
        with pytest.raises(SourceError, match="followed already"):
            drop_log(living.config, living.name)
        living.run(CHANGE.format(1))
        assert everything(log).keys == {"msg": {1}}


def test_rights_that_are_taken_away(living: LivingS9) -> None:
    living.run("CREATE ROLE follower LOGIN REPLICATION PASSWORD 'only-here'")
    try:
        living.run(
            f"CREATE PUBLICATION {living.name} FOR TABLE msg, msg_line, msg_anag",
        )
        living.config = replace(
            living.config, username="follower", password=type(living.config.password)("only-here")
        )
        with living.going_on() as log:
            living.run(CHANGE.format(1), "ALTER ROLE follower NOREPLICATION")
            assert everything(log).keys == {"msg": {1}}
        with pytest.raises(SourceError, match="follower may not read the log") as raised:
            open_log(living.config, None, FOLLOWED, living.name, living.known)
        assert "sync --check" in raised.value.remedy
        with pytest.raises(SourceError, match="cannot be dropped") as raised:
            drop_log(living.config, living.name)
        assert f"pg_drop_replication_slot('{living.name}')" in raised.value.remedy
        living.run("ALTER ROLE follower REPLICATION")
        taken = drop_log(living.config, living.name)
        assert taken[0] == f"slot {living.name}" and "DROP PUBLICATION" in taken[1]
    finally:
        living.run(f"DROP PUBLICATION IF EXISTS {living.name}", "DROP ROLE follower")
        living.config = replace(
            living.config,
            username=living.server.owner,
            password=type(living.config.password)(living.server.owner_password),
        )


def test_what_is_left_in_s9_is_named_and_taken_away(living: LivingS9) -> None:
    begun(living)
    for_reader = replace(
        living.config,
        username=living.server.reader,
        password=type(living.config.password)(living.server.reader_password),
    )
    slot, publication = leftovers(for_reader, living.name)
    assert slot.startswith(f"slot {living.name} keeps ") and "inactive since" in slot
    assert publication == f"publication {living.name}"
    assert drop_log(living.config, living.name) == [
        f"slot {living.name}",
        f"publication {living.name}",
    ]
    assert leftovers(living.config, living.name) == drop_log(living.config, living.name) == []


def test_who_waits_for_open_transactions_says_for_whom_and_can_be_stopped(
    living: LivingS9, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slots, "TELL_AFTER", 0.1)
    stop = StopFlag()
    told: list[str] = []

    def tell(text: str, *values: object) -> None:
        told.append(text % values)
        stop.request()

    monkeypatch.setattr(get_logger(), "warning", tell)
    with living.writer() as writer, writer.cursor() as cursor:
        cursor.execute(CHANGE.format(1))
        with pytest.raises(Interrupted):
            open_log(living.config, stop, FOLLOWED, living.name, {})
        writer.rollback()
        assert f"(process {writer.info.backend_pid} of {living.server.owner}" in told[0]
    assert leftovers(living.config, living.name) == [f"publication {living.name}"]


def test_a_mark_is_reached_without_any_change(living: LivingS9) -> None:
    with living.going_on() as log:
        fence = log.fence()
        assert not log.has_passed(fence)
        began = time.monotonic()
        assert log.read(30).is_empty
        assert log.has_passed(fence) and time.monotonic() - began < 20
