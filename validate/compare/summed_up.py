"""Sales that the application has recomputed from their lines: the new figures are right, and no
difference.

Whoever adds, changes or deletes a line in the Sale Module changes the sale as well: its number of
lines and its amounts. Should nobody have signed that on the sale,
it is still told from a damaged one: the figures are those of the lines, and the application has
been at the lines.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

import orjson

from utils.differences import CHANGED
from utils.dynamodb.item_content import Item
from utils.dynamodb.table_reader import TableReader
from utils.entities import Children
from validate.compare.differences import ChangedItem, KeyDifferences

_CENT, _HALF_A_CENT = Decimal("0.01"), Decimal("0.005")
_SIGNATURE = {"updatedAt", "updatedBy"}


def take_out_summed_up(
    keys: KeyDifferences, reader: TableReader, table: str, children: Children
) -> dict[tuple[str, str], str]:
    """Move the listed sales that are only summed up again from `different` to `changed`; returns
    what is to be said of them, by the key of the item."""
    moved = {}
    of_lines = {*dict(children.sums), children.count}
    entries, keys.different.entries = keys.different.entries, []
    for entry in entries:
        names = set(entry.attributes)
        pk = orjson.dumps(entry.key.pk)
        # Who signs and recomputes changes a figure as well; a signature alone is no sum.
        recomputed = names & of_lines and names - of_lines <= _SIGNATURE
        figures = entry.key.sk == "METADATA" and recomputed
        if figures and pk in keys.touched and _is_summed_up(reader, table, entry.key.pk, children):
            keys.different.count -= 1
            keys.changed.add(ChangedItem(entry.key, CHANGED))
            moved[entry.key.pk, entry.key.sk] = CHANGED
        else:
            keys.different.entries.append(entry)
    return moved


def _is_summed_up(reader: TableReader, table: str, pk: str, children: Children) -> bool:
    """Whether a sale's linesCount and amounts are those of its lines, as they are now."""
    request = {
        "TableName": table,
        "KeyConditionExpression": "PK = :sale",
        "ExpressionAttributeValues": {":sale": {"S": pk}},
        "ConsistentRead": True,
        "ReturnConsumedCapacity": "TOTAL",
    }
    sale: Item = {}
    count = 0
    sums = {name: Decimal(0) for name, _ in children.sums}
    for answer in reader.pages("Query", request):
        for item in answer["Items"]:
            if item["SK"]["S"] == "METADATA":
                sale = item
            elif item["SK"]["S"].startswith(children.prefix) and "S" not in item.get(
                "deletedAt", {}
            ):
                count += 1
                for name, of_line in children.sums:
                    sums[name] += _number(item, of_line)
    agree = all(_is_rounded(_number(sale, name), total) for name, total in sums.items())
    return agree and _number(sale, children.count) == count


def _is_rounded(figure: Decimal, total: Decimal) -> bool:
    """Whether a figure is a total in whole cents; halves go up in the Sale Module, and may go down
    where its binary numbers are less."""
    return figure % _CENT == 0 and abs(figure - total) <= _HALF_A_CENT


def _number(item: Item, name: str) -> Decimal:
    """A number of an item; NaN, which is equal to nothing, where there is none."""
    try:
        return Decimal(item.get(name, {}).get("N", "NaN"))
    except InvalidOperation:
        return Decimal("NaN")
