"""One batch to DynamoDB: sent until every item is acknowledged or known to be refused.

A transformed line is the body of a PutRequest; a request is put together from lines without
parsing them.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

import orjson

from load.writing.batches import units_of
from load.writing.conditional_writer import ConditionalWriter
from load.writing.conditions import ABSENT
from load.writing.rate_limiter import RateLimiter
from utils.aws.credentials import Expired
from utils.aws.unreached import Unreached
from utils.dynamodb.answer_shapes import NoAnswer, batch_written
from utils.dynamodb.backoff import RetryPolicy
from utils.dynamodb.client import DynamoDB, RequestRefused, RequestTooLarge, request_id_of
from utils.dynamodb.item_content import is_same
from utils.dynamodb.retrying import Retries
from utils.dynamodb.table_spec import PARTITION_KEY, SORT_KEY
from utils.error_handler import BackOff, TargetError, Throttled
from utils.wording.figures import counted
from utils.wording.invocation import again

_PUT, _DELETE = b"PutRequest", b"DeleteRequest"


@dataclass(frozen=True)
class RefusedItem:
    """An item that DynamoDB does not take: its line, and DynamoDB's reason."""

    line: bytes
    reason: str


@dataclass
class Outcome:
    """What became of a batch, or of many added up: `items` were written, for that and for whatever
    else was not to be written, or was refused, `lines` of the file are done with. `records` are
    those of which the item that opens them was written, `edited` the lines of items that somebody
    has changed between two attempts to write them: they stay so. `sent_bytes` are those of the
    lines of the items that were written. `answers` has each request that has written something:
    the lines (without their line breaks), its id, and whether it was a conditional one; they are of
    one batch only, and not added up."""

    items: int = 0
    lines: int = 0
    batches: int = 0
    units: float = 0.0
    retries: Counter[str] = field(default_factory=Counter)
    refused: list[RefusedItem] = field(default_factory=list)
    edited: list[bytes] = field(default_factory=list)
    records: int = 0
    sent_bytes: int = 0
    answers: list[tuple[Sequence[bytes], str, bool]] = field(default_factory=list)

    def add(self, other: Outcome) -> None:
        """Add another outcome's figures to these."""
        self.items += other.items
        self.lines += other.lines
        self.batches += other.batches
        self.units += other.units
        self.retries += other.retries
        self.refused += other.refused
        self.records += other.records
        self.sent_bytes += other.sent_bytes

    def as_json(self) -> dict[str, Any]:
        """The figures, as a checkpoint keeps them."""
        return {
            "items": self.items,
            "lines": self.lines,
            "records": self.records,
            "sentBytes": self.sent_bytes,
            "batches": self.batches,
            "units": str(self.units),
            "retries": dict(self.retries),
        }

    @classmethod
    def of_json(cls, saved: Mapping[str, Any]) -> Outcome:
        """What `as_json` gave."""
        return cls(
            saved["items"],
            saved["lines"],
            saved["batches"],
            float(saved["units"]),
            Counter(saved["retries"]),
            records=saved.get("records", 0),
            sent_bytes=saved.get("sentBytes", 0),
        )


def _is_nothing_done(problem: BackOff) -> bool:
    """Whether it is certain that nothing of a request was done. A lost answer, one that cannot be
    read or an error of the server say nothing."""
    if isinstance(problem, Unreached):
        return not problem.sent
    return isinstance(problem, (Throttled, Expired))


def _bytes_of(lines: Sequence[bytes]) -> int:
    """What lines without their line breaks take in the file."""
    return sum(map(len, lines)) + len(lines)


class BatchWriter:
    """Sends batches of transformed lines to one table; safe to share between threads."""

    def __init__(
        self,
        wire: DynamoDB,
        table: str,
        retry: RetryPolicy,
        limiter: RateLimiter,
        *,
        indexes: int,
        keys: tuple[str, ...] = (PARTITION_KEY, SORT_KEY),
        doubtful: ConditionalWriter | None = None,
    ) -> None:
        """Where the items are new, `doubtful` writes those of which it is not known whether they
        have arrived: what the application has made of them since is not to be overwritten."""
        self._wire = wire
        self._retry = retry
        self._limiter = limiter
        self._indexes = indexes
        self._table = table
        self._keys = keys
        self._doubtful = doubtful

    def write(self, lines: Sequence[bytes]) -> Outcome:
        """Put a batch of transformed lines into the table.

        Raises TargetError when DynamoDB cannot be used, or does not take the batch in time.
        """
        outcome = Outcome()
        self._write([line.rstrip(b"\n") for line in lines], _PUT, outcome)
        return outcome

    def delete(self, lines: Sequence[bytes]) -> Outcome:
        """Delete the items that a batch of transformed lines describes.

        Raises TargetError as `write` does, and when DynamoDB refuses to delete one of them.
        """
        outcome = Outcome()
        self._write([self._key_request(line) for line in lines], _DELETE, outcome)
        if outcome.refused:
            left = outcome.refused[0]
            raise TargetError(
                f"an item cannot be removed from {self._table} again: {left.reason}",
                remedy=f"see the reason, fix it, then run: {again()}",
            )
        return outcome

    def _write(self, lines: list[bytes], verb: bytes, outcome: Outcome) -> None:
        retries = self._retries()
        while lines:
            sent = lines[: self.at_once(lines)]
            rest = lines[len(sent) :]
            try:
                left = self._send(sent, verb, outcome)
                lines = left + rest
                if len(left) < len(sent):
                    retries = self._retries()
                if left:
                    raise Throttled(
                        "UnprocessedItems", f"{counted(len(left), 'item')} of {self._table}"
                    )
            except BackOff as problem:
                retries.failed(problem)
                outcome.retries[problem.reason] += 1
                if isinstance(problem, Throttled):
                    self._limiter.slow_down(str(problem))
                if verb == _PUT and self._doubtful and not _is_nothing_done(problem):
                    self._write_doubtful(self._doubtful, sent, outcome)
                    lines = rest
                    continue
                retries.wait()
            except (RequestRefused, RequestTooLarge) as refusal:
                self._split(sent, verb, refusal, outcome)
                lines = rest

    def _retries(self) -> Retries:
        limiter = self._limiter
        return Retries(
            self._wire,
            self._retry,
            lambda: limiter.accepted + limiter.elsewhere,
            table=self._table,
        )

    def _write_doubtful(
        self, writer: ConditionalWriter, lines: list[bytes], outcome: Outcome
    ) -> None:
        """Send again what may have arrived, item by item, on condition that nothing is there."""
        for line in lines:
            item = line[8:-1]
            expected = self._expected([line])
            self._limiter.acquire(expected)
            accepted = 0.0
            try:
                written = writer.put(item, ABSENT)
                accepted = expected
                if written.done or is_same(written.found, orjson.loads(item)):
                    outcome.items += 1
                    outcome.sent_bytes += _bytes_of([line])
                    outcome.answers.append(([line], written.request_id, written.done))
                else:
                    outcome.edited.append(line)
            except RequestRefused as refusal:
                outcome.refused.append(RefusedItem(line, refusal.message))
            finally:
                self._limiter.settle(expected, expected, accepted)
            outcome.units += accepted

    def at_once(self, lines: Sequence[bytes]) -> int:
        """How many of these lines go into one request at the rate that there is now; at least
        one."""
        most = self._limiter.most_at_once
        if most is None:
            return len(lines)
        sums = accumulate(units_of(line, self._indexes) for line in lines)
        return max(1, sum(units <= most for units in sums))

    def _send(self, lines: list[bytes], verb: bytes, outcome: Outcome) -> list[bytes]:
        """Send one request; returns the lines that DynamoDB did not process."""
        expected = self._expected(lines)
        self._limiter.acquire(expected)
        used, accepted = expected, 0.0
        body = self._body(lines, verb)
        began = time.monotonic()
        try:
            answer = self._wire.call("BatchWriteItem", body)
            consumed, listed = batch_written(answer, self._table)
            left = self._unprocessed(lines, verb, listed) if listed else []
            used = consumed + self._expected(left)
            accepted = consumed if len(left) < len(lines) else 0.0
        finally:
            self._limiter.settle(expected, used, accepted, time.monotonic() - began)
        outcome.batches += 1
        outcome.units += consumed
        outcome.items += len(lines) - len(left)
        outcome.sent_bytes += _bytes_of(lines) - _bytes_of(left)
        there = [line for line in lines if line not in left] if left else lines
        outcome.answers.append((there, request_id_of(answer), False))
        return left

    def _expected(self, lines: list[bytes]) -> float:
        return float(sum([units_of(line, self._indexes) for line in lines]))

    def _body(self, lines: list[bytes], verb: bytes) -> bytes:
        opening = b'{"%b":' % verb
        return b"".join(
            (
                b'{"RequestItems":{"%b":[' % self._table.encode(),
                opening,
                (b"}," + opening).join(lines),
                b'}]},"ReturnConsumedCapacity":"TOTAL"}',
            )
        )

    def _split(
        self,
        lines: list[bytes],
        verb: bytes,
        refusal: RequestRefused | RequestTooLarge,
        outcome: Outcome,
    ) -> None:
        """Halve a batch that was refused as a whole until the items at fault stand alone. An item
        that is too large for what stands before DynamoDB is not at fault."""
        if len(lines) == 1:
            if isinstance(refusal, RequestTooLarge):
                raise refusal
            outcome.refused.append(RefusedItem(lines[0], refusal.message))
            return
        middle = len(lines) // 2
        self._write(lines[:middle], verb, outcome)
        self._write(lines[middle:], verb, outcome)

    def _unprocessed(
        self, lines: list[bytes], verb: bytes, entries: Sequence[dict[str, Any]]
    ) -> list[bytes]:
        """The lines that DynamoDB lists as unprocessed, as the bytes that they were sent as.
        Raises NoAnswer when one of those listed was not sent."""
        try:
            wanted = {self._key(entry[verb.decode()]) for entry in entries}
        except KeyError as error:
            raise NoAnswer("BatchWriteItem", "UnprocessedItems has what was not sent") from error
        left = [line for line in lines if self._key(orjson.loads(line)) in wanted]
        if len(left) < len(entries):
            raise NoAnswer("BatchWriteItem", "UnprocessedItems has what was not sent")
        return left

    def _key(self, request: dict[str, Any]) -> bytes:
        """The key that a PutRequest (which is also what a line holds) or DeleteRequest is about."""
        item = request.get("Item") or request["Key"]
        return orjson.dumps([item[name] for name in self._keys])

    def _key_request(self, line: bytes) -> bytes:
        item = orjson.loads(line)["Item"]
        return orjson.dumps({"Key": {name: item[name] for name in self._keys}})
