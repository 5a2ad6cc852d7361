"""Reading the target: requests that are repeated while that helps, and parallel scans.

Reads are strongly consistent, because a verification that overlooks the last second's writes
would report what is there as missing. Only an index cannot be read that way.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import cache
from threading import Lock
from typing import Any, Protocol, TypeVar, cast

import orjson

from utils.config import TargetConfig
from utils.dynamodb.answer_shapes import NoAnswer, check, require_keys
from utils.dynamodb.backoff import RetryPolicy
from utils.dynamodb.client import DynamoDB
from utils.dynamodb.reached import Reached, bind_process, bound_to
from utils.dynamodb.retrying import Retries, ask
from utils.dynamodb.scan_flow import MOST, PageFlow
from utils.dynamodb.table_spec import PARTITION_KEY, SORT_KEY
from utils.error_handler import BackOff, TargetError, Throttled

# DynamoDB ends a page after 1 MB, which is fewer items than this; the limit bounds the memory
# for services that do not.
PAGE_ITEMS = 2_500


Key = Mapping[str, Any]


class ScanPage(Protocol):
    """What a page's work returns: anything that knows whether the service says that there is more
    (`last_key`), and the key of the last item that is on the page (None: it is empty)."""

    @property
    def last_key(self) -> Key | None: ...

    @property
    def ends_at(self) -> Key | None: ...


Page = TypeVar("Page", bound=ScanPage)


class TableReader:
    """Reads tables through the raw wire; safe to share between threads.

    `pause` is called between the pages of a scan. Sent to another process, a reader opens a wire
    of its own to `target` when it needs one, and waits by the clock alone: to stop is the business
    of the process that has asked.
    """

    def __init__(
        self,
        wire: DynamoDB,
        retry: RetryPolicy,
        *,
        target: TargetConfig | None = None,
        pause: Callable[[], object] = lambda: None,
    ) -> None:
        self._wire = wire
        self._retry = retry
        self._target = target
        self._pause = pause

    def __reduce__(self) -> tuple[Callable[..., TableReader], tuple[Any, ...]]:
        retry = self._retry
        return _reader_here, (
            self._target,
            retry.max_retries,
            retry.base_delay,
            retry.exponential,
            tuple(bound_to(self._target).items()) if self._target else (),
        )

    def ask(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """The parsed answer to one request.

        Raises RequestRefused for a request that DynamoDB does not accept, TargetError when the
        target cannot be used, also after the configured number of retries.
        """
        return ask(self._wire, self._retry, operation, request)

    def pages(
        self,
        operation: str,
        request: Mapping[str, Any],
        *,
        keys: tuple[str, ...] = (),
        to_the_end: bool = False,
    ) -> Iterator[dict[str, Any]]:
        """The answers to a Query or Scan, page after page, as far as the caller reads; each item
        has the attributes `keys`. Raises as `ask` does.

        With `to_the_end` (`keys` are then those of the index and of its table) a page goes on after
        its last item, and the end is an empty one, as in `scan`.
        """
        start: Mapping[str, Any] = {}
        way = Way(self._wire, operation)
        while True:
            asked = {**request, **start}

            def parse(body: bytes, asked: Mapping[str, Any] = asked) -> dict[str, Any]:
                answer = check(operation, asked, body)
                require_keys(operation, answer["Items"], keys)
                return answer

            answer = ask(self._wire, self._retry, operation, asked, parse)
            yield answer
            after = answer.get("LastEvaluatedKey")
            if to_the_end and answer["Items"]:
                after = {name: answer["Items"][-1][name] for name in keys}
            if after is None:
                return
            way.goes_on(after)
            start = {"ExclusiveStartKey": after}

    def scan(
        self,
        table: str,
        work: Callable[[bytes], Page],
        *,
        segments: Sequence[int],
        of: int,
        attributes: tuple[str, ...] = (),
        at_once: int = MOST,
    ) -> Iterator[Page]:
        """What `work` makes of every page of some segments of a table, in no particular order.

        Of all `of` segments as many of these are read at once as it takes to keep the caller busy,
        at most `at_once`, each one page ahead of him: a slow caller slows the reading. `work` gets
        the body of an answer, judges its shape (NoAnswer) and must be pure; it runs in the
        caller's thread, because threads that work at the same time only fight for the
        interpreter. `attributes` limits what is transferred to these, the key's among them (names
        that are no reserved words).

        A page goes on after the last item of the page before it, and the end is where nothing
        comes after that: a page that has lost its LastEvaluatedKey on the way ends no scan.
        """
        request: dict[str, Any] = {
            "TableName": table,
            "ConsistentRead": True,
            "TotalSegments": of,
            "ReturnConsumedCapacity": "TOTAL",
        }
        if attributes:
            request["ProjectionExpression"] = ", ".join(attributes)
        flow = PageFlow(min(at_once, len(segments)), PAGE_ITEMS)
        asking = _Asking(self._wire, self._retry, request, flow)
        ways = {segment: Way(self._wire, "Scan") for segment in segments}
        due = deque(asking.for_page(segment) for segment in segments)
        with ThreadPoolExecutor(flow.most, thread_name_prefix="scan") as pool:
            waiting: dict[Future[bytes], _Asked] = {}

            def go_on() -> None:
                while due and len(waiting) < flow.number:
                    asked = due.popleft()
                    waiting[pool.submit(asking.body, asked)] = asked

            try:
                go_on()
                while waiting:
                    done, _ = wait(waiting, return_when=FIRST_COMPLETED)
                    future = done.pop()
                    asked = waiting.pop(future)
                    self._pause()
                    try:
                        page = work(future.result())
                        require_progress(asked.start, page.last_key, page.ends_at)
                    except BackOff as problem:
                        asked.problem = problem
                        due.appendleft(asked)
                        go_on()
                        continue
                    flow.came(in_vain=not any(each.done() for each in waiting))
                    if after := page.ends_at or page.last_key:
                        ways[asked.segment].goes_on(after)
                        due.appendleft(asking.for_page(asked.segment, after))
                    go_on()
                    yield page
            finally:
                pool.shutdown(wait=True, cancel_futures=True)


@dataclass
class _Asked:
    """A page of a segment that is asked for: where it starts, the tries so far, and what was wrong
    with the last answer."""

    segment: int
    start: Key | None
    retries: Retries
    problem: BackOff | None = None


@dataclass(frozen=True)
class _Asking:
    """Asks for the pages of a scan, in whatever thread."""

    wire: DynamoDB
    retry: RetryPolicy
    request: Mapping[str, Any]
    flow: PageFlow

    def for_page(self, segment: int, start: Key | None = None) -> _Asked:
        # Where others get their pages, a throttled one gets its own at last.
        table = str(self.request["TableName"])
        retries = Retries(self.wire, self.retry, lambda: self.flow.pages, table=table)
        return _Asked(segment, start, retries)

    def body(self, asked: _Asked) -> bytes:
        """The body of the answer. Raises as `TableReader.ask` does."""
        if asked.problem is not None:
            problem, asked.problem = asked.problem, None
            self._wait(asked, problem)
        while True:
            request = {**self.request, "Segment": asked.segment, "Limit": self.flow.items}
            if asked.start is not None:
                request["ExclusiveStartKey"] = asked.start
            cuts = self.flow.cuts
            try:
                return self.wire.call("Scan", orjson.dumps(request))
            except BackOff as problem:
                if isinstance(problem, Throttled):
                    self.flow.throttled(cuts)
                self._wait(asked, problem)

    def _wait(self, asked: _Asked, problem: BackOff) -> None:
        asked.retries.failed(problem)
        asked.retries.wait()


@dataclass(frozen=True)
class ItemsPage:
    """A page of a scan, as its items."""

    items: list[dict[str, Any]]
    last_key: Key | None
    ends_at: Key | None


def items_page(
    body: bytes,
    *,
    names: tuple[str, ...] = (PARTITION_KEY, SORT_KEY),
    request: Mapping[str, Any] | None = None,
) -> ItemsPage:
    """The items of a Scan's answer to `request`; `names` are the key attributes of the table, which
    each item has. Raises NoAnswer."""
    answer = check("Scan", request or {}, body)
    items = answer["Items"]
    require_keys("Scan", items, names)
    ends_at = {name: items[-1][name] for name in names} if items else None
    return ItemsPage(items, answer.get("LastEvaluatedKey"), ends_at)


def require_progress(start: Key | None, last_key: Key | None, ends_at: Key | None) -> None:
    """Raise NoAnswer when a page of a scan ends where it began."""
    if start is not None and start in (last_key, ends_at):
        raise NoAnswer("Scan", "the page ends where it began")


class Way:
    """Where the pages of a scan or query begin, one after the other: none begins where one has
    begun before. In constant memory (R. P. Brent, "An improved Monte Carlo factorization
    algorithm", 1980: compare with the page whose number is the last power of two)."""

    def __init__(self, wire: DynamoDB, operation: str) -> None:
        self._wire = wire
        self._operation = operation
        self._known: Key | None = None
        self._count = 0

    def goes_on(self, start: Key) -> None:
        """The next page begins after this key. Raises TargetError when it is a circle."""
        if start == self._known:
            problem = NoAnswer(self._operation, "its pages repeat without an end")
            raise self._wire.gave_up(problem, 1)
        self._count += 1
        if self._count & (self._count - 1) == 0:
            self._known = start


class _LateWire:
    """A wire that is opened when it is first used: who gets it in a message is not to fail at
    reading the message."""

    def __init__(self, target: TargetConfig) -> None:
        self._target = target
        self._lock = Lock()
        self._opened: DynamoDB | None = None

    def call(self, operation: str, body: bytes) -> bytes:
        return self._wire().call(operation, body)

    def gave_up(self, last: BackOff, attempts: int) -> TargetError:
        return self._wire().gave_up(last, attempts)

    def _wire(self) -> DynamoDB:
        with self._lock:
            if self._opened is None:
                self._opened = DynamoDB(self._target)
            return self._opened


@cache
def _reader_here(
    target: TargetConfig,
    max_retries: int,
    base_delay: float,
    exponential: bool,
    bound: tuple[tuple[str, Reached], ...],
) -> TableReader:
    """This process's own reader of a target, the same one whenever it is asked for."""
    if bound:
        bind_process(target, dict(bound))
    retry = RetryPolicy(max_retries, base_delay, exponential)
    return TableReader(cast(DynamoDB, _LateWire(target)), retry, target=target)
