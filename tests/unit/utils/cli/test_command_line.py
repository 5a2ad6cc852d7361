"""What nobody catches comes to the screen, but for what has been told already."""

from __future__ import annotations

import sys
import threading

import psycopg2
import pytest
from psycopg2 import errors

from utils.cli.command_line import guard_uncaught


@pytest.fixture(autouse=True)
def _guarded(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (sys, threading):
        monkeypatch.setattr(module, "excepthook", module.excepthook)
    guard_uncaught()


def print_system_error(cause: BaseException | None) -> None:
    """As CPython does where a function in C returns although an error is on its way."""
    error = SystemError("<function> returned a result with an exception set")
    error.__cause__ = cause
    sys.excepthook(SystemError, error, None)


@pytest.mark.parametrize("cause", [errors.AdminShutdown("bye"), psycopg2.OperationalError("gone")])
def test_the_server_that_goes_is_not_told_of_twice(
    cause: psycopg2.Error, capsys: pytest.CaptureFixture[str]
) -> None:
    print_system_error(cause)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("cause", [None, ValueError("a defect")])
def test_every_other_error_comes_to_the_screen(
    cause: BaseException | None, capsys: pytest.CaptureFixture[str]
) -> None:
    print_system_error(cause)
    assert "SystemError" in capsys.readouterr().err


def test_an_error_of_psycopg2_itself_does(capsys: pytest.CaptureFixture[str]) -> None:
    sys.excepthook(psycopg2.OperationalError, psycopg2.OperationalError("gone"), None)
    assert "OperationalError" in capsys.readouterr().err
