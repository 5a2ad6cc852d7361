"""The operators of tests/scenarios, for the cases in which the tool was once found wanting; and the
application at a desk (tests/support/application/desk.py)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.scenarios.conftest import after_a_run, alone, finished, operator
from tests.support.application.desk import Desk, one_session
from tests.support.application.sale_module import SaleModule

__all__ = ["after_a_run", "alone", "application", "finished", "operator", "quick"]


@pytest.fixture(scope="module")
def quick() -> Iterator[None]:
    """Commands at a desk share what opening a session of AWS takes."""
    with one_session():
        yield


@pytest.fixture
def application(desk: Desk) -> SaleModule:
    """The Sale Module over the tables of a desk."""
    return SaleModule(desk.client, {name: desk.table(name) for name in desk.records})
