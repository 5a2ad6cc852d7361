"""What a rollback says it has done, and what it was done to."""

from __future__ import annotations

from typing import Any

from tests.support.operators.operator import Operator


def headers(operator: Operator, entity: str) -> list[dict[str, Any]]:
    """The transformed items that open a record."""
    return [item for item in operator.items(entity) if item["SK"]["S"] == "METADATA"]


def lines(operator: Operator) -> list[dict[str, Any]]:
    """The transformed lines of sales."""
    return [item for item in operator.items("sales") if item["SK"]["S"] != "METADATA"]


def closes(operator: Operator) -> dict[str, Any]:
    """The entities of the rollback's report, after adding them up."""
    report = operator.report("rollback")
    assert report["closes"]
    for entity in report["entities"].values():
        created, replaced = entity["created"], entity["replaced"]
        assert created["count"] == created["deleted"] + created["kept"] + created["gone"]
        assert replaced["count"] == replaced["restored"] + replaced["kept"] + replaced["gone"]
    listed = sum(record["items"] for record in report["kept"])
    assert listed == sum(
        entity[sort]["kept"]
        for entity in report["entities"].values()
        for sort in ("created", "replaced")
    )
    return dict(report["entities"])
