"""A model of the Sale Module at work on its tables, as its handlers work: what they read, they have
read a moment before they write, and a write that concerns several items is several requests.

An act is a generator that stops after each of its requests. So whoever lets it act decides what
happens in between. `done` has what every act has left, attribute by attribute.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Collection, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from decimal import Decimal
from typing import Any

from mypy_boto3_dynamodb import DynamoDBClient

from utils.dynamodb.item_content import plain_number

Key = tuple[str, str]
Item = dict[str, Any]
Act = Generator[None, None, None]
USER = "someone@example.com"
HEADER = "METADATA"


def text(value: object) -> Item:
    return {"S": str(value)}


def number(value: object) -> Item:
    return {"N": plain_number(str(value))}


@dataclass
class Left:
    """What the application has left of an attribute, and when (by the count of acts)."""

    value: object
    at: int


@dataclass
class SaleModule:
    """The application. `tables` are the names of its tables by entity."""

    client: DynamoDBClient
    tables: Mapping[str, str]
    chance: random.Random = field(default_factory=lambda: random.Random(1))
    done: dict[Key, dict[str, Left]] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)
    pending: list[Act] = field(default_factory=list)
    # The sale of each act: two of its users at once would overwrite each other's sums.
    at_work_on: dict[Act, str] = field(default_factory=dict)
    # The sales that were read since everything was finished, by partition key.
    busy_with: dict[str, int] = field(default_factory=dict)
    _read: str = ""
    acts: int = 0

    # -- acting at random -------------------------------------------------------------------

    def step(self) -> None:
        """Go on with something that is begun, or begin something."""
        if self.pending and self.chance.random() < 0.7:
            act = self.chance.choice(self.pending)
        else:
            act = self._begin()
            self.pending.append(act)
        self._read = ""
        if next(act, "ended") == "ended":
            self.pending.remove(act)
            self.at_work_on.pop(act, None)
        elif self._read:
            self.at_work_on[act] = self._read

    def finish(self) -> None:
        """Bring to its end what is begun."""
        for act in self.pending:
            for _ in act:
                pass
        self.pending.clear()
        self.at_work_on.clear()
        self.busy_with.clear()

    def _begin(self) -> Act:
        kinds: list[Callable[[], Act]] = [
            self.edit,
            self.edit,
            self.add_line,
            self.add_line,
            self.edit_line,
            self.delete_line,
            self.delete_sale,
            self.confirm,
            self.invoice,
            self.create_sale,
            self.create_sale,
            self.create_party,
            self.edit_party,
            self.attach,
        ]
        return self.chance.choice(kinds)()

    # -- the acts ---------------------------------------------------------------------------

    def edit(self, pk: str = "") -> Act:
        """Change a field of a sale."""
        if sale := self._sale(pk):
            yield
            self._update("sales", sale, notes=text(f"edited {self.acts}"))

    def add_line(self, pk: str = "") -> Act:
        """A line more, then the header's count and sums."""
        if not (sale := self._sale(pk)):
            return
        lines = self._lines(sale)
        yield
        line_id = uuid.UUID(int=self.chance.getrandbits(128), version=4)
        sale_id = sale["PK"]["S"].partition("#")[2]
        line = {
            "PK": sale["PK"],
            "SK": text(f"LINE#{line_id}"),
            "saleId": text(sale_id),
            "lineId": text(line_id),
            "lineNumber": number(len(lines) + 1),
            "productDescription": text("Added"),
            **amounts(self.chance.randint(1, 99)),
            **self._audit(),
        }
        self._put("sales", line)
        yield
        self._recompute(sale, [*lines, line])

    def edit_line(self, pk: str = "") -> Act:
        """Another amount of a line, then the header's sums."""
        if not (sale := self._sale(pk)) or not (lines := self._lines(sale)):
            return
        yield
        chosen = self.chance.choice(lines)
        changed = amounts(self.chance.randint(1, 99))
        self._update("sales", chosen, **changed)
        yield
        self._recompute(sale, [line if line is not chosen else line | changed for line in lines])

    def delete_line(self, pk: str = "") -> Act:
        """A line is deleted softly, then the header's count and sums are those of the others."""
        if not (sale := self._sale(pk)) or not (lines := self._lines(sale)):
            return
        yield
        chosen = self.chance.choice(lines)
        self._update("sales", chosen, deletedAt=self._now())
        yield
        self._recompute(sale, [line for line in lines if line is not chosen])

    def delete_sale(self, pk: str = "") -> Act:
        """A sale is deleted softly."""
        if sale := self._sale(pk):
            yield
            self._update("sales", sale, deletedAt=self._now())

    def confirm(self, pk: str = "") -> Act:
        """A sale is confirmed, which recomputes it."""
        if sale := self._sale(pk):
            lines = self._lines(sale)
            yield
            status = {"status": text("confirmed"), "GSI1PK": text("STATUS#confirmed")}
            self._recompute(sale, lines, **status)

    def invoice(self, pk: str = "") -> Act:
        """A sale is invoiced."""
        if sale := self._sale(pk):
            yield
            self._update(
                "sales",
                sale,
                invoiceGenerated={"BOOL": True},
                invoiceNumber=text(self.acts),
                status=text("invoiced"),
                GSI1PK=text("STATUS#invoiced"),
            )

    def create_sale(self, buyer: str = "", producer: str = "") -> Act:
        """A sale of its own for parties that there are: the header, then its line."""
        parties = [self._party("buyers", buyer), self._party("producers", producer)]
        if not all(parties):
            return
        yield
        buyer, producer = (party["PK"]["S"] for party in parties if party)
        sale_id = uuid.UUID(int=self.chance.getrandbits(128), version=4)
        line = amounts(self.chance.randint(1, 99))
        header = {
            "PK": text(f"SALE#{sale_id}"),
            "SK": text(HEADER),
            "GSI1PK": text("STATUS#draft"),
            "GSI1SK": text("2031-05-04"),
            "GSI2PK": text(buyer),
            "GSI2SK": text("2031-05-04"),
            "GSI3PK": text(producer),
            "GSI3SK": text("2031-05-04"),
            "GSI4PK": text("SALE"),
            "GSI4SK": text("2031-05-04"),
            "saleId": text(sale_id),
            "saleDate": text("2031-05-04"),
            "status": text("draft"),
            "buyerId": text(buyer.partition("#")[2]),
            "producerId": text(producer.partition("#")[2]),
            **sums([line]),
            **self._audit(),
        }
        self._put("sales", header)
        yield
        line_id = uuid.UUID(int=self.chance.getrandbits(128), version=4)
        self._put(
            "sales",
            {
                "PK": header["PK"],
                "SK": text(f"LINE#{line_id}"),
                "saleId": text(sale_id),
                "lineId": text(line_id),
                "lineNumber": number(1),
                **line,
                **self._audit(),
            },
        )

    def create_party(self) -> Act:
        """A buyer or a producer of its own."""
        yield
        entity, kind = self.chance.choice([("buyers", "BUYER"), ("producers", "PRODUCER")])
        party_id = uuid.UUID(int=self.chance.getrandbits(128), version=4)
        self._put(
            entity,
            {
                "PK": text(f"{kind}#{party_id}"),
                "SK": text(HEADER),
                "companyName": text("Its own"),
                "status": text("active"),
                **self._audit(),
            },
        )

    def edit_party(self, pk: str = "") -> Act:
        """Change a field of a party."""
        entity = self.chance.choice(["buyers", "producers"])
        if party := self._party(entity, pk):
            yield
            self._update(entity, party, notes=text(f"edited {self.acts}"))

    def attach(self, pk: str = "") -> Act:
        """Hang something on a sale; nothing else of it changes."""
        if sale := self._sale(pk):
            yield
            attached = uuid.UUID(int=self.chance.getrandbits(128), version=4)
            self._put(
                "sales",
                {"PK": sale["PK"], "SK": text(f"ATTACHMENT#{attached}"), **self._audit()},
            )

    # -- what it reads ----------------------------------------------------------------------

    def headers(self, entity: str) -> Iterator[Item]:
        """The records that its pages list."""
        pages = self.client.get_paginator("scan").paginate(
            TableName=self.tables[entity], ConsistentRead=True
        )
        for page in pages:
            for item in page["Items"]:
                if item["SK"]["S"] == HEADER and "deletedAt" not in item:
                    yield dict(item)

    def _party(self, entity: str, pk: str) -> Item | None:
        found = [each for each in self.headers(entity) if pk in ("", each["PK"]["S"])]
        return (
            self.chance.choice(sorted(found, key=lambda each: each["PK"]["S"])) if found else None
        )

    def _sale(self, pk: str) -> Item | None:
        """A sale that is whole: nobody works on one that is still coming in."""
        found = [each for each in self.headers("sales") if pk in ("", each["PK"]["S"])]
        found.sort(key=lambda each: each["PK"]["S"])
        self.chance.shuffle(found)
        for sale in found:
            key = sale["PK"]["S"]
            whole = sale.get("linesCount") == number(len(self._lines(sale)))
            if whole and key not in self.at_work_on.values():
                self.busy_with[key] = self.acts
                self._read = key
                return sale
        return None

    def _lines(self, sale: Item) -> list[Item]:
        answer = self.client.query(
            TableName=self.tables["sales"],
            ConsistentRead=True,
            KeyConditionExpression="PK = :pk AND begins_with(SK, :line)",
            ExpressionAttributeValues={":pk": sale["PK"], ":line": {"S": "LINE#"}},
        )
        return [dict(item) for item in answer["Items"] if "deletedAt" not in item]

    # -- what it writes ---------------------------------------------------------------------

    def _now(self) -> Item:
        """The time, another one for each act."""
        now = datetime.now(timezone.utc)
        return text(f"{now:%Y-%m-%dT%H:%M:%S}.{self.acts % 1000:03}Z")

    def _audit(self) -> Item:
        return {
            "createdAt": self._now(),
            "createdBy": text(USER),
            "updatedAt": self._now(),
            "updatedBy": text(USER),
        }

    def _recompute(self, sale: Item, lines: list[Item], **further: Item) -> None:
        self._update("sales", sale, **sums(lines), **further)

    def _update(self, entity: str, item: Item, **attributes: Item) -> None:
        values = {"updatedAt": self._now(), "updatedBy": text(USER), **attributes}
        names = list(values)
        self.client.update_item(
            TableName=self.tables[entity],
            Key={"PK": item["PK"], "SK": item["SK"]},
            UpdateExpression="SET " + ", ".join(f"#{n} = :{n}" for n in range(len(names))),
            ExpressionAttributeNames={f"#{n}": name for n, name in enumerate(names)},
            ExpressionAttributeValues={f":{n}": values[name] for n, name in enumerate(names)},
        )
        self._note(item, values)

    def _put(self, entity: str, item: Item) -> None:
        self.client.put_item(TableName=self.tables[entity], Item=item)
        self._note(item, item)

    def _note(self, item: Item, attributes: Item) -> None:
        self.acts += 1
        key = item["PK"]["S"], item["SK"]["S"]
        left = {name: Left(value, self.acts) for name, value in attributes.items()}
        self.done.setdefault(key, {}).update(left)
        self.log.append(f"{self.acts}: {' '.join(key)} {sorted(attributes)}")

    # -- what must be so --------------------------------------------------------------------

    def undone(self, items: Mapping[Key, Item]) -> list[str]:
        """The acts of which something is missing."""
        problems = []
        for key, attributes in self.done.items():
            there = items.get(key, {})
            lost = {
                name: left for name, left in attributes.items() if not _is_left(there, name, left)
            }
            if lost:
                acts = sorted({left.at for left in lost.values()})
                problems.append(f"{' '.join(key)}: {sorted(lost)} of acts {acts} is undone")
        return problems

    def forget(self, items: Mapping[Key, Item], *, until: int) -> None:
        """Somebody was asked to overwrite what there was after the `until`-th act: of what is no
        longer there the whole act was to go, also where another value happens to be the same."""
        for key, attributes in self.done.items():
            there = items.get(key, {})
            gone = {left.at for name, left in attributes.items() if not _is_left(there, name, left)}
            for name, left in list(attributes.items()):
                if left.at <= until and left.at in gone:
                    del attributes[name]


def _is_left(item: Item, name: str, left: Left) -> bool:
    return bool(item.get(name) == left.value)


def amounts(cents: int) -> Item:
    """A line's amounts: one piece at so many hundredths."""
    net = Decimal(cents) / 100
    tax = (net * 22 / 100).quantize(Decimal("0.01"))
    return {
        "quantity": number(1),
        "unitPrice": number(net),
        "discount": number(0),
        "discountAmount": number(0),
        "netAmount": number(net),
        "taxRate": number(22),
        "taxAmount": number(tax),
        "totalAmount": number(net + tax),
    }


def sums(lines: list[Item]) -> Item:
    """What a header says of its lines."""
    names = {"subtotal": "netAmount", "taxAmount": "taxAmount", "total": "totalAmount"}
    return {
        "linesCount": number(len(lines)),
        **{
            name: number(sum((Decimal(line[of]["N"]) for line in lines), Decimal(0)))
            for name, of in names.items()
        },
    }


def torn(items: Mapping[Key, Item], *, raced: Collection[str] = ()) -> list[str]:
    """What is wrong with the records of the three tables. Of those that are `raced` the sums are
    not looked at: the application has computed them from what it had read before that was
    replaced."""
    problems = []
    records: dict[str, dict[str, Item]] = {}
    for (pk, sk), item in items.items():
        records.setdefault(pk, {})[sk] = item
    for pk, record in sorted(records.items()):
        header = record.get(HEADER)
        if header is None:
            problems.append(f"{pk}: {sorted(record)} without a header")
        elif pk.startswith("SALE#") and "deletedAt" not in header:
            problems += _torn_sale(pk, header, record, records, raced)
    return problems


def _torn_sale(
    pk: str,
    header: Item,
    record: Mapping[str, Item],
    records: Mapping[str, Any],
    raced: Collection[str],
) -> Iterator[str]:
    lines = [
        item for sk, item in record.items() if sk.startswith("LINE#") and "deletedAt" not in item
    ]
    if "linesCount" not in header or "buyerId" not in header:
        yield f"{pk}: the header has only {sorted(header)}"
        return
    wanted = {} if pk in raced else sums(lines)
    for name, value in wanted.items():
        if Decimal(header[name]["N"]) != Decimal(value["N"]):
            yield f"{pk}: {name} is {header[name]['N']}, its lines say {value['N']}"
    for party in (f"BUYER#{header['buyerId']['S']}", f"PRODUCER#{header['producerId']['S']}"):
        if party not in records:
            yield f"{pk}: {party} is nowhere"
