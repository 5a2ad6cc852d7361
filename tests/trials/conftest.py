"""The operators of tests/scenarios, for the cases in which the tool was once found wanting; and the
application at a desk (tests/faults/desk.py)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.faults.desk import Desk
from tests.faults.sale_module import SaleModule
from tests.scenarios.conftest import after_a_run, alone, finished, operator

__all__ = ["after_a_run", "alone", "application", "does", "finished", "operator"]


@pytest.fixture
def application(desk: Desk) -> SaleModule:
    """The Sale Module over the tables of a desk."""
    return SaleModule(desk.client, {name: desk.table(name) for name in desk.records})


def does(act: Any) -> None:
    """An act of the application is done to its end."""
    for _ in act:
        pass
