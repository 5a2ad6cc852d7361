"""Reading the target: requests that are repeated while that helps, and parallel scans.

Reads are strongly consistent, because a verification that overlooks the last second's writes
would report what is there as missing. Only an index cannot be read that way.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import zip_longest
from threading import Lock
from typing import Any, Generic, Protocol, TypeVar, cast

import orjson

from utils.config import TargetConfig
from utils.dynamodb.answer_shapes import NoAnswer, check, consumed, reader, require_keys
from utils.dynamodb.backoff import RetryPolicy
from utils.dynamodb.client import DynamoDB
from utils.dynamodb.reached import Reached, bind_process, bound_to
from utils.dynamodb.read_units import INDEXES, TABLES, Expected, PageSizes, ReadMeter
from utils.dynamodb.retrying import Retries, ask
from utils.dynamodb.scan_flow import MOST, PageFlow
from utils.dynamodb.table_spec import PARTITION_KEY, SORT_KEY
from utils.error_handler import BackOff, TargetError, Throttled

# DynamoDB ends a page after 1 MB, which is fewer items than this; the limit bounds the memory
# for services that do not.
PAGE_ITEMS = 2_500


Key = Mapping[str, Any]
_READS = frozenset({"GetItem", "Query", "Scan"})


class ScanPage(Protocol):
    """What a page's work returns: anything that knows whether the service says that there is more
    (`last_key`), the key of the last item that is on the page (None: it is empty), and the read
    units that it has taken (0: it has not looked)."""

    @property
    def last_key(self) -> Key | None: ...

    @property
    def ends_at(self) -> Key | None: ...

    @property
    def units(self) -> float: ...


Page = TypeVar("Page", bound=ScanPage)


@dataclass(frozen=True)
class TableScan(Generic[Page]):
    """What is scanned: some segments, of all `of`, of a table or of one of its indexes, whose pages
    go on after a key of the index and of the table, and which follow the table after a moment.

    `work` gets the body of an answer, judges its shape (NoAnswer) and must be pure. `attributes`
    limits what is transferred to these, the key's among them (names that are no reserved words).
    """

    table: str
    work: Callable[[bytes], Page]
    segments: Sequence[int]
    of: int
    index: str = ""
    attributes: tuple[str, ...] = ()

    @property
    def request(self) -> dict[str, Any]:
        """What every page of it is asked for with."""
        request: dict[str, Any] = {
            "TableName": self.table,
            **({"IndexName": self.index} if self.index else {"ConsistentRead": True}),
            "TotalSegments": self.of,
            "ReturnConsumedCapacity": "TOTAL",
        }
        if self.attributes:
            request["ProjectionExpression"] = ", ".join(self.attributes)
        return request


class TableReader:
    """Reads tables through the raw wire; safe to share between threads.

    `pause` is called between the pages of a scan. What is read is counted by `meter`, and within
    its rate. Sent to another process, a reader opens a wire of its own to `target` when it needs
    one, and waits by the clock alone: to stop is the business of the process that has asked.
    """

    def __init__(
        self,
        wire: DynamoDB,
        retry: RetryPolicy,
        *,
        target: TargetConfig | None = None,
        pause: Callable[[], object] = lambda: None,
        meter: ReadMeter | None = None,
    ) -> None:
        self._wire = wire
        self._retry = retry
        self._target = target
        self._pause = pause
        self._meter = meter
        self._expected = Expected()
        self._sizes: dict[str, PageSizes] = {}

    def __reduce__(self) -> tuple[Callable[..., TableReader], tuple[Any, ...]]:
        retry = self._retry
        return _reader_here, (
            self._target,
            retry.max_retries,
            retry.base_delay,
            retry.exponential,
            tuple(bound_to(self._target).items()) if self._target else (),
            self._meter,
        )

    def counting(self, kind: str) -> TableReader:
        """The same reader for reads that are counted as `kind` (utils/dynamodb/read_units.py)."""
        meter = self._meter and self._meter.counting(kind)
        other = TableReader(
            self._wire, self._retry, target=self._target, pause=self._pause, meter=meter
        )
        other._expected = self._expected
        return other

    def ask(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """The parsed answer to one request.

        Raises RequestRefused for a request that DynamoDB does not accept, TargetError when the
        target cannot be used, also after the configured number of retries.
        """
        with self._metered(operation, request) as metered:
            parse = metered.counting(reader(operation, metered.request))
            return metered.settle(ask(self._wire, self._retry, operation, metered.request, parse))

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
            with self._metered(operation, {**request, **start}) as metered:
                asked = metered.request

                def parse(body: bytes, asked: Mapping[str, Any] = asked) -> dict[str, Any]:
                    answer = check(operation, asked, body)
                    require_keys(operation, answer["Items"], keys)
                    return answer

                counting = metered.counting(parse)
                answer = metered.settle(ask(self._wire, self._retry, operation, asked, counting))
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
        """What `work` makes of every page of some segments of a table (see TableScan), as
        `scan_all` gives it."""
        one = TableScan(table, work, segments, of, attributes=attributes)
        for _, page in self.scan_all([one], at_once=at_once):
            yield page

    def scan_all(
        self, scans: Sequence[TableScan[Page]], *, at_once: int = MOST
    ) -> Iterator[tuple[int, Page]]:
        """What is made of every page of some scans, in no particular order, with the number of the
        scan.

        Of all their segments as many are read at once as it takes to keep the caller busy, at most
        `at_once`, each one page ahead of him: a slow caller slows the reading. The work is done in
        the caller's thread, because threads that work at the same time only fight for the
        interpreter.

        A page goes on after the last item of the page before it, and the end is where nothing
        comes after that: a page that has lost its LastEvaluatedKey on the way ends no scan.
        """
        asking = self._asking(scans, at_once)
        if not asking:
            return
        flow = asking[0].flow
        in_turn = zip_longest(*(each.first_pages() for each in asking))
        due = deque(asked for some in in_turn for asked in some if asked is not None)
        with ThreadPoolExecutor(flow.most, thread_name_prefix="scan") as pool:
            waiting: dict[Future[bytes], _Asked] = {}

            def go_on() -> None:
                while due and len(waiting) < flow.number:
                    asked = due.popleft()
                    waiting[pool.submit(asked.of.body, asked)] = asked

            try:
                go_on()
                while waiting:
                    done, _ = wait(waiting, return_when=FIRST_COMPLETED)
                    future = done.pop()
                    asked = waiting.pop(future)
                    self._pause()
                    try:
                        page = scans[asked.of.number].work(future.result())
                        asked.of.came(asked, page)
                    except BackOff as problem:
                        asked.problem = problem
                        due.appendleft(asked)
                        go_on()
                        continue
                    flow.came(in_vain=not any(each.done() for each in waiting))
                    if after := page.ends_at or page.last_key:
                        due.appendleft(asked.of.page_after(asked, after))
                    go_on()
                    yield asked.of.number, page
            finally:
                pool.shutdown(wait=True, cancel_futures=True)

    def _asking(self, scans: Sequence[TableScan[Page]], at_once: int) -> list[_Asking]:
        """Who asks for the pages of each scan, all in one flow."""
        rate = self._meter.per_second if self._meter else None
        most = min(at_once, sum(len(each.segments) for each in scans))
        sizes = [self._sizes.setdefault(_place(each.request), PageSizes()) for each in scans]
        allowed = [each.in_flight(rate, most) for each in sizes]
        first = min((each for each, _ in allowed), default=1)
        most = min((each for _, each in allowed), default=1)
        flow = PageFlow(most, PAGE_ITEMS, first=first)
        return [
            _Asking(
                number,
                self._wire,
                self._retry,
                each.request,
                each.segments,
                flow,
                size,
                self._meter_of(each.request),
            )
            for number, (each, size) in enumerate(zip(scans, sizes, strict=True))
        ]

    def _meter_of(self, request: Mapping[str, Any]) -> ReadMeter | None:
        """What counts a request: one to an index is of the indexes, unless it is for something."""
        meter = self._meter
        if meter is not None and "IndexName" in request and meter.kind == TABLES:
            return meter.counting(INDEXES)
        return meter

    @contextmanager
    def _metered(self, operation: str, request: Mapping[str, Any]) -> Iterator[_Metered]:
        """A request whose turn it is, as far as its units are concerned."""
        meter = self._meter_of(request)
        if meter is None or operation not in _READS:
            yield _Metered(operation, request)
            return
        if meter.per_second is None:
            yield _Metered(operation, {"ReturnConsumedCapacity": "TOTAL", **request}, meter)
            return
        kind = f"{operation} {_place(request)}"
        with self._expected.of(kind) as units:
            if wait := meter.borrow(units):
                self._retry.sleep(wait)
            told = {"ReturnConsumedCapacity": "TOTAL", **request}
            metered = _Metered(operation, told, meter, units)
            yield metered
            self._expected.learn(kind, metered.used)


def _place(request: Mapping[str, Any]) -> str:
    """The table or the index that a request reads."""
    return f"{request['TableName']} {request.get('IndexName', '')}"


@dataclass
class _Metered:
    """A request that is counted, unless there is no `meter`: the units that were `expected`, and
    those that it has `used`."""

    operation: str
    request: Mapping[str, Any]
    meter: ReadMeter | None = None
    expected: float = 0.0
    used: float = 0.0

    def counting(
        self, parse: Callable[[bytes], dict[str, Any]]
    ) -> Callable[[bytes], dict[str, Any]]:
        """The same `parse`, for which an answer that does not say what it took is none."""
        if self.meter is None:
            return parse

        def counted(body: bytes) -> dict[str, Any]:
            answer = parse(body)
            self.used = consumed(self.operation, answer)
            return answer

        return counted

    def settle(self, answer: dict[str, Any]) -> dict[str, Any]:
        """Count what the answer has taken; returns it."""
        if self.meter is not None:
            self.meter.settle(self.expected, self.used)
        return answer


@dataclass
class _Asked:
    """A page of a segment that is asked for: who asks, where it starts, the way to there, the tries
    so far, what was wrong with the last answer, how many items were asked for and the units that
    this was to take."""

    of: _Asking
    segment: int
    start: Key | None
    way: Way
    retries: Retries
    problem: BackOff | None = None
    items: int = PAGE_ITEMS
    expected: float = 0.0


@dataclass(frozen=True)
class _Asking:
    """Asks for the pages of a scan, which has a `number`, in whatever thread."""

    number: int
    wire: DynamoDB
    retry: RetryPolicy
    request: Mapping[str, Any]
    segments: Sequence[int]
    flow: PageFlow
    sizes: PageSizes
    meter: ReadMeter | None = None

    def first_pages(self) -> Iterator[_Asked]:
        """The first page of each segment."""
        for segment in self.segments:
            yield self._page(segment, None, Way(self.wire, "Scan"))

    def page_after(self, asked: _Asked, key: Key) -> _Asked:
        """The page of the same segment that begins after a key. Raises TargetError when it is a
        circle."""
        asked.way.goes_on(key)
        return self._page(asked.segment, key, asked.way)

    def _page(self, segment: int, start: Key | None, way: Way) -> _Asked:
        # Where others get their pages, a throttled one gets its own at last.
        table = str(self.request["TableName"])
        retries = Retries(self.wire, self.retry, lambda: self.flow.pages, table=table)
        return _Asked(self, segment, start, way, retries)

    def body(self, asked: _Asked) -> bytes:
        """The body of the answer. Raises as `TableReader.ask` does."""
        if asked.problem is not None:
            problem, asked.problem = asked.problem, None
            self._wait(asked, problem)
        while True:
            self._take_units(asked)
            request = {**self.request, "Segment": asked.segment, "Limit": asked.items}
            if asked.start is not None:
                request["ExclusiveStartKey"] = asked.start
            cuts = self.flow.cuts
            try:
                return self.wire.call("Scan", orjson.dumps(request))
            except BackOff as problem:
                if isinstance(problem, Throttled):
                    self.flow.throttled(cuts)
                self._wait(asked, problem)

    def came(self, asked: _Asked, page: ScanPage) -> None:
        """Count what a page has taken. What a try has taken that failed is not given back: it may
        have been read for nothing. Raises NoAnswer when the page ends where it began."""
        if self.meter is not None:
            self.meter.settle(asked.expected, page.units)
            self.sizes.learn(asked.items, page.units, is_last=page.last_key is None)
        require_progress(asked.start, page.last_key, page.ends_at)

    def _take_units(self, asked: _Asked) -> None:
        """Wait until the page may be asked for."""
        rate = self.meter.per_second if self.meter else None
        asked.items, asked.expected = self.sizes.next_page(rate, self.flow.items)
        if self.meter is not None and (wait := self.meter.borrow(asked.expected)):
            self.retry.sleep(wait)

    def _wait(self, asked: _Asked, problem: BackOff) -> None:
        asked.retries.failed(problem)
        asked.retries.wait()


@dataclass(frozen=True)
class ItemsPage:
    """A page of a scan, as its items."""

    items: list[dict[str, Any]]
    last_key: Key | None
    ends_at: Key | None
    units: float = 0.0


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
    units = consumed("Scan", answer) if "ConsumedCapacity" in answer else 0.0
    return ItemsPage(items, answer.get("LastEvaluatedKey"), ends_at, units)


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
    meter: ReadMeter | None,
) -> TableReader:
    """This process's own reader of a target, the same one whenever it is asked for."""
    if bound:
        bind_process(target, dict(bound))
    retry = RetryPolicy(max_retries, base_delay, exponential)
    return TableReader(cast(DynamoDB, _LateWire(target)), retry, target=target, meter=meter)
