"""The operators of tests/scenarios, for the cases in which the tool was once found wanting."""

from tests.scenarios.conftest import after_a_run, alone, finished, operator

__all__ = ["after_a_run", "alone", "finished", "operator"]
