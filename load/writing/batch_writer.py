"""One batch to DynamoDB: sent until every item is acknowledged or known to be refused.

A transformed line is the body of a PutRequest; a request is put together from lines without
parsing them.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, repeat
from typing import Any, NamedTuple

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


class _Sent(NamedTuple):
    """What came of a request that was sent with others: the answer or what came instead, DynamoDB's
    id of it, and how many seconds they have taken."""

    answer: bytes | Exception
    request_id: str
    seconds: float


class _Try(NamedTuple):
    """What became of lines that were sent: those that are `left`, and why."""

    left: list[bytes]
    problem: Exception | None = None


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

    def write_all(self, batches: Sequence[Sequence[bytes]]) -> Iterator[Outcome]:
        """`write` of each of some batches, which are sent together unless a rate is kept to: that
        costs less than a thread for each. One with which not all went well is seen to alone."""
        stripped = [[line.rstrip(b"\n") for line in lines] for lines in batches]
        outcomes = [Outcome() for _ in batches]
        tries: Iterable[_Try | None] = repeat(None)
        if len(batches) > 1 and self._limiter.most_at_once is None:
            # What has become of all is accounted for before anything is waited for.
            tries = list(map(self._tried, stripped, outcomes, self._send_all(stripped)))
        for lines, outcome, tried in zip(stripped, outcomes, tries, strict=False):
            self._write(lines, _PUT, outcome, tried, at_once=len(batches) if tried else 1)
            yield outcome

    def _send_all(self, batches: Sequence[list[bytes]]) -> list[_Sent]:
        """Send batches together, once."""
        began = time.monotonic()
        requests = [("BatchWriteItem", self._body(lines, _PUT)) for lines in batches]
        answers = self._wire.call_all(requests)
        seconds = time.monotonic() - began
        return [_Sent(answer, request_id_of(answer), seconds) for answer in answers]

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

    def _write(
        self,
        lines: list[bytes],
        verb: bytes,
        outcome: Outcome,
        tried: _Try | None = None,
        *,
        at_once: int = 1,
    ) -> None:
        """Send lines until all are dealt with; `tried` is what became of them the first time, if
        they have been sent already, with as many others as requests may be under way `at_once`."""
        retries = self._retries()
        while lines:
            sent = lines if tried else lines[: self.at_once(lines)]
            rest = lines[len(sent) :]
            left, problem = tried or self._tried(sent, outcome, self._sent(sent, verb), verb)
            tried = None
            lines = left + rest
            if len(left) < len(sent):
                retries = self._retries()
            if isinstance(problem, BackOff):
                retries.failed(problem)
                outcome.retries[problem.reason] += 1
                if verb == _PUT and self._doubtful and not _is_nothing_done(problem):
                    self._write_doubtful(self._doubtful, sent, outcome, at_once)
                    lines = rest
                    continue
                retries.wait()
            elif isinstance(problem, (RequestRefused, RequestTooLarge)):
                self._split(sent, verb, problem, outcome)
                lines = rest
            elif problem is not None:
                raise problem

    def _retries(self) -> Retries:
        limiter = self._limiter
        return Retries(
            self._wire,
            self._retry,
            lambda: limiter.accepted + limiter.elsewhere,
            table=self._table,
        )

    def _write_doubtful(
        self, writer: ConditionalWriter, lines: list[bytes], outcome: Outcome, at_once: int
    ) -> None:
        """Send again what may have arrived, item by item, on condition that nothing is there."""
        for first in range(0, len(lines), at_once):
            self._put_doubtful(writer, lines[first : first + at_once], outcome)

    def _put_doubtful(
        self, writer: ConditionalWriter, lines: list[bytes], outcome: Outcome
    ) -> None:
        expected = self._expected(lines)
        self._limiter.acquire(expected)
        accepted = 0.0
        try:
            done = writer.put_all([(line[8:-1], ABSENT) for line in lines])
            for line, written in zip(lines, done, strict=True):
                if isinstance(written, RequestRefused):
                    outcome.refused.append(RefusedItem(line, written.message))
                    continue
                accepted += self._expected([line])
                if written.done or is_same(written.found, orjson.loads(line)["Item"]):
                    outcome.items += 1
                    outcome.sent_bytes += _bytes_of([line])
                    outcome.answers.append(([line], written.request_id, written.done))
                else:
                    outcome.edited.append(line)
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

    def _sent(self, lines: list[bytes], verb: bytes) -> _Sent:
        """Send one request when it is its turn."""
        self._limiter.acquire(self._expected(lines))
        body = self._body(lines, verb)
        began = time.monotonic()
        answer: bytes | Exception
        try:
            answer = self._wire.call("BatchWriteItem", body)
        except Exception as problem:
            answer = problem
        return _Sent(answer, request_id_of(answer), time.monotonic() - began)

    def _tried(self, lines: list[bytes], outcome: Outcome, sent: _Sent, verb: bytes = _PUT) -> _Try:
        """Take note of the answer to a request, at once: the rate depends on it."""
        try:
            left = self._take(lines, verb, outcome, sent)
        except Exception as problem:
            if isinstance(problem, Throttled):
                self._limiter.slow_down(str(problem))
            return _Try(lines, problem)
        if not left:
            return _Try(left)
        throttled = Throttled("UnprocessedItems", f"{counted(len(left), 'item')} of {self._table}")
        self._limiter.slow_down(str(throttled))
        return _Try(left, throttled)

    def _take(self, lines: list[bytes], verb: bytes, outcome: Outcome, sent: _Sent) -> list[bytes]:
        """Account for the answer to a request; returns the lines that DynamoDB did not process.
        Raises what came instead of an answer."""
        used = expected = self._expected(lines)
        accepted = 0.0
        try:
            if isinstance(sent.answer, Exception):
                raise sent.answer
            consumed, listed = batch_written(sent.answer, self._table)
            left = self._unprocessed(lines, verb, listed) if listed else []
            used = consumed + self._expected(left)
            accepted = consumed if len(left) < len(lines) else 0.0
        finally:
            self._limiter.settle(expected, used, accepted, sent.seconds)
        outcome.batches += 1
        outcome.units += consumed
        outcome.items += len(lines) - len(left)
        outcome.sent_bytes += _bytes_of(lines) - _bytes_of(left)
        there = [line for line in lines if line not in left] if left else lines
        outcome.answers.append((there, sent.request_id, False))
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
