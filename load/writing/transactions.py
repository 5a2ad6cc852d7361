"""Writes that are done together or not at all, each on a condition of its own.

TransactWriteItems takes at most 100 items and 4 MB; it costs twice the write units of the same
writes one by one, and a hundredth of the requests ("Amazon DynamoDB Transactions", DynamoDB
developer guide). With a token of its own a transaction that is sent again, because its answer was
lost, is done once.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import orjson

from load.writing.batches import units_of
from load.writing.conditional_writer import ConditionalWriter, key_of
from load.writing.conditions import Condition
from utils.dynamodb.answer_shapes import check
from utils.dynamodb.client import ConditionFailed, RequestRefused, request_id_of
from utils.dynamodb.item_content import Item
from utils.dynamodb.retrying import send_all
from utils.error_handler import BackOff, Throttled

MOST_WRITES = 100
_MOST_BYTES = 2 << 20  # of the items; their conditions repeat them
_OPERATION = "TransactWriteItems"
_FACTOR = 2.0  # write units of a transaction for one of a single write


@dataclass(frozen=True)
class TransactionWrite:
    """One write of a transaction: `kind` is Put, Delete or ConditionCheck; `item` is what is put,
    or what is expected to be there, `text` the same in JSON, where that is known."""

    kind: str
    item: Item
    condition: Condition
    text: bytes = b""

    @property
    def size(self) -> int:
        """About how many bytes of a request it takes."""
        return len(self.body) + len(self.condition.text)

    @cached_property
    def body(self) -> bytes:
        """The item in JSON."""
        return self.text or orjson.dumps(self.item)


@dataclass(frozen=True)
class _Request:
    """A transaction as it is sent, and the write units that it will take."""

    body: bytes
    expected: float


class Transactions:
    """Transactions on the table of a writer, within its rate; safe to share between threads."""

    def __init__(self, writer: ConditionalWriter) -> None:
        self._writer = writer
        self._count = writer.count
        self._table = writer.table
        self._wire = writer.wire
        self._retry = writer.retry
        self._limiter = writer.limiter
        self._indexes = writer.indexes

    def write(self, writes: Sequence[TransactionWrite]) -> bool:
        """Do all of `writes` (at most MOST_WRITES); False, and none of them is done, when a
        condition does not hold.

        Raises RequestRefused when DynamoDB does not take an item, and TargetError when it cannot
        be used.
        """
        (done,) = self.write_all([writes])
        if isinstance(done, RequestRefused):
            raise done
        return done

    def write_all(
        self, transactions: Sequence[Sequence[TransactionWrite]]
    ) -> list[bool | RequestRefused]:
        """Do transactions, many at once; what `write` returns of each, or that DynamoDB does not
        take an item of it. Raises TargetError."""
        requests = list(map(self._request, transactions))
        done: list[bool | RequestRefused] = [False] * len(requests)

        def take(number: int, answer: bytes | Exception) -> None:
            try:
                self._take(requests[number], answer)
                done[number] = True
                put = [each.body for each in transactions[number] if each.kind == "Put"]
                self._writer.listener(put, request_id_of(answer), together=True)
            except ConditionFailed:
                done[number] = False
            except RequestRefused as refusal:
                done[number] = refusal

        costs = [each.expected for each in requests]
        send_all(
            self._wire,
            self._retry,
            [(_OPERATION, each.body) for each in requests],
            take,
            tell=self._tell,
            portions=self._limiter.portions(costs, self._wire.at_once),
        )
        return done

    def write_together(self, records: Mapping[int, Sequence[TransactionWrite]]) -> set[int]:
        """Do what is to be written of records, by their numbers, as many in a transaction as it
        takes; which of them were written (also where there was nothing to write). The others are
        to be tried alone. Raises RequestRefused when DynamoDB does not take an item, and
        TargetError when it cannot be used."""
        groups = list(together({n: some for n, some in records.items() if some}))
        outcomes = self.write_all([[w for n in group for w in records[n]] for group in groups])
        written = {n for n, some in records.items() if not some}
        for group, done in zip(groups, outcomes, strict=True):
            if isinstance(done, RequestRefused):
                raise done
            written.update(group if done else ())
        return written

    def _tell(self, problem: BackOff) -> None:
        if isinstance(problem, Throttled):
            self._limiter.slow_down(str(problem))

    def _request(self, writes: Sequence[TransactionWrite]) -> _Request:
        members = b",".join(map(self._member, writes))
        body = b'{"TransactItems":[%b],"ClientRequestToken":"%b","ReturnConsumedCapacity":"TOTAL"}'
        units = sum(_FACTOR * units_of(each.body, self._indexes) for each in writes)
        return _Request(body % (members, str(uuid.uuid4()).encode()), units)

    def _take(self, request: _Request, answer: bytes | Exception) -> None:
        """Account for an answer. Raises what it is, if it is an error."""
        used, accepted = request.expected, 0.0
        try:
            if isinstance(answer, Exception):
                raise answer
            told = check(_OPERATION, {}, answer)["ConsumedCapacity"]
            used = accepted = sum(each["CapacityUnits"] for each in told) or request.expected
        finally:
            self._limiter.settle(request.expected, used, accepted)
            self._count(accepted)

    def _member(self, write: TransactionWrite) -> bytes:
        """A write as a transaction has it: what is JSON already is not written once more."""
        is_put = write.kind == "Put"
        what = b'"Item":' + write.body if is_put else b'"Key":' + orjson.dumps(key_of(write.item))
        return b'{"%b":{"TableName":"%b",%b,%b}}' % (
            write.kind.encode(),
            self._table.encode(),
            what,
            write.condition.text,
        )


def portions(writes: Iterable[TransactionWrite]) -> Iterator[list[TransactionWrite]]:
    """Writes, as many together as one transaction takes."""
    portion: list[TransactionWrite] = []
    size = 0
    for write in writes:
        if portion and (len(portion) == MOST_WRITES or size + write.size > _MOST_BYTES):
            yield portion
            portion, size = [], 0
        portion.append(write)
        size += write.size
    if portion:
        yield portion


def together(records: Mapping[int, Sequence[TransactionWrite]]) -> Iterator[list[int]]:
    """Which of some records, by number with what is to be written of each, go into one transaction:
    as many as it takes. One that needs more than one transaction is in none."""
    group: list[int] = []
    count = size = 0
    for number, writes in records.items():
        more = sum(each.size for each in writes)
        if len(writes) > MOST_WRITES or (more > _MOST_BYTES and len(writes) > 1):
            continue
        if group and (count + len(writes) > MOST_WRITES or size + more > _MOST_BYTES):
            yield group
            group, count, size = [], 0, 0
        group.append(number)
        count, size = count + len(writes), size + more
    if group:
        yield group
