"""Sides are looked at together, and none of them can hide what is found of another."""

from __future__ import annotations

import threading

from utils.checking.check import MACHINE, SOURCE, TARGET, Check, State
from utils.checking.looking import Looking, look, look_at_once
from utils.error_handler import BackOff, TargetError


def told(checks: list[Check]) -> list[tuple[str, str, State]]:
    return [(each.side, each.name, each.state) for each in checks]


def test_sides_are_looked_at_at_the_same_time_and_told_in_their_order() -> None:
    meeting = threading.Barrier(2, timeout=30)

    def meet(looking: Looking) -> None:
        meeting.wait()  # whoever came alone would wait in vain
        looking.ok("meeting", "both are there")

    checks = look_at_once({SOURCE: meet, TARGET: meet}, 60)
    assert told(checks) == [(side, "meeting", State.OK) for side in (SOURCE, TARGET)]


def test_a_side_that_gives_no_answer_is_given_up_with_what_is_known_of_it() -> None:
    ended = threading.Event()

    def hang(looking: Looking) -> None:
        looking.ends_by(ended.set)
        looking.ok("name", "known")
        looking.at("login")
        ended.wait(60)
        looking.ok("login", "too late")

    def answer(looking: Looking) -> None:
        looking.ok("tables", "there")

    checks = look_at_once({SOURCE: hang, TARGET: answer}, 0.05)
    assert told(checks) == [
        (SOURCE, "name", State.OK),
        (SOURCE, "login", State.FAILED),
        (TARGET, "tables", State.OK),
    ]
    assert ended.is_set(), "what was given up goes on"


def test_a_step_that_fails_ends_no_other_and_a_lost_connection_ends_the_side() -> None:
    def work(looking: Looking) -> None:
        with looking.step("first"):
            raise TargetError("it is not there", remedy="make it")
        with looking.step("second"):
            looking.ok("second", "there")
        with looking.step("third"):
            raise BackOff("ConnectionLost", "gone")
        looking.ok("fourth", "not asked any more")

    first, second, third = look(TARGET, work, 60)
    assert (first.state, first.found, first.remedy) == (State.FAILED, "it is not there", "make it")
    assert (second.name, second.state) == ("second", State.OK)
    assert (third.name, third.state) == ("third", State.FAILED)


def test_a_defect_is_told_for_what_it_is_and_hides_nothing() -> None:
    def work(looking: Looking) -> None:
        looking.ok("first", "there")
        looking.at("second")
        raise KeyError("ouch")

    first, second = look(MACHINE, work, 60)
    assert first.state is State.OK
    assert second.state is State.FAILED
    assert "unexpected KeyError at test_looking.py:" in second.found
    assert "report" in second.remedy


def test_what_others_have_worded_is_told_without_secrets_and_personal_data() -> None:
    check = Check(SOURCE, "x", State.FAILED, "password=hunter2secret", "ask anna@example.com")
    assert "hunter2secret" not in check.found
    assert "anna@example.com" not in check.remedy
