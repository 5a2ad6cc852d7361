"""Something of each kind of damage in the tables of one migration: none of it is signed."""

from __future__ import annotations

from typing import Any

from tests.support.application.application import Application
from tests.support.operators.operator import Operator
from tests.support.operators.undone import headers, lines


def damage(vandal: Application, operator: Operator) -> None:
    """Something of each kind: parties and a sale are missing, lines are missing, changed and too
    many, a number and a key of an index are wrong, and records that S9 has not."""
    buyers, producers = headers(operator, "buyers"), headers(operator, "producers")
    sales, some = headers(operator, "sales"), lines(operator)
    vandal.delete("buyers", buyers[0])
    vandal.put("producers", {**producers[0], "name": {"S": "another name"}})
    vandal.delete("sales", sales[0])
    vandal.put("sales", {**sales[1], "total": {"N": "1"}})
    vandal.put("sales", {**sales[2], "GSI4PK": {"S": "SALE"}, "GSI4SK": {"S": "1999-01-01"}})
    vandal.delete("sales", of(some, sales[3])[0])
    changed = of(some, sales[4])[0]
    vandal.put("sales", {**changed, "quantity": {"N": "77"}})
    vandal.put("sales", {**changed, "SK": {"S": "LINE#extra"}, "legacyId": {"S": "4711"}})
    for entity, item in (("buyers", buyers[1]), ("sales", sales[5])):
        key = {"PK": {"S": f"{entity[:-1].upper()}#forged"}, "legacyId": {"S": "999999"}}
        vandal.put(entity, {**item, **key})


def of(items: list[dict[str, Any]], head: dict[str, Any]) -> list[dict[str, Any]]:
    """The lines of a sale."""
    return [item for item in items if item["PK"] == head["PK"]]
