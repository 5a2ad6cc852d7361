"""Reading the target: requests that are repeated while that helps, and parallel scans.

Reads are strongly consistent, because a verification that overlooks the last second's writes
would report what is there as missing. Only an index cannot be read that way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any, Protocol, TypeVar

import orjson

from utils.dynamodb import DynamoDB
from utils.requests import ask
from utils.retry import RetryPolicy

# DynamoDB ends a page after 1 MB, which is fewer items than this; the limit bounds the memory
# for services that do not.
PAGE_ITEMS = 2_500


class ScanPage(Protocol):
    """What a page's work returns: anything that knows where the next page starts."""

    @property
    def last_key(self) -> Mapping[str, Any] | None: ...


Answer = TypeVar("Answer")
Page = TypeVar("Page", bound=ScanPage)


class TableReader:
    """Reads tables through the raw wire; safe to share between threads."""

    def __init__(self, wire: DynamoDB, retry: RetryPolicy) -> None:
        self._wire = wire
        self._retry = retry

    def ask(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """The parsed answer to one request.

        Raises RequestRefused for a request that DynamoDB does not accept, TargetError when the
        target cannot be used, also after the configured number of retries.
        """
        answer: dict[str, Any] = self._ask(operation, orjson.dumps(request), orjson.loads)
        return answer

    def _ask(self, operation: str, body: bytes, parse: Callable[[bytes], Answer]) -> Answer:
        return ask(self._wire, self._retry, operation, body, parse)

    def pages(self, operation: str, request: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """The answers to a Query or Scan, page after page, as far as the caller reads."""
        start: Mapping[str, Any] = {}
        while True:
            answer = self.ask(operation, {**request, **start})
            yield answer
            if not answer.get("LastEvaluatedKey"):
                return
            start = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}

    def scan(
        self,
        table: str,
        work: Callable[[bytes], Page],
        *,
        workers: int,
        attributes: tuple[str, ...] = (),
    ) -> Iterator[Page]:
        """What `work` makes of every page of a table, in no particular order.

        `workers` segments are read at once, one page of each ahead of the caller: a slow caller
        slows the reading. `work` gets the body of an answer and must be pure. `attributes`
        limits what is transferred to these (names that are no reserved words).
        """
        request: dict[str, Any] = {
            "TableName": table,
            "ConsistentRead": True,
            "Limit": PAGE_ITEMS,
            "TotalSegments": workers,
        }
        if attributes:
            request["ProjectionExpression"] = ", ".join(attributes)

        def read(segment: int, last_key: Mapping[str, Any] | None) -> Page:
            start = {"ExclusiveStartKey": last_key} if last_key else {}
            body = orjson.dumps({**request, "Segment": segment, **start})
            return self._ask("Scan", body, work)

        with ThreadPoolExecutor(workers, thread_name_prefix="scan") as pool:
            waiting: dict[Future[Page], int] = {
                pool.submit(read, segment, None): segment for segment in range(workers)
            }
            try:
                while waiting:
                    done, _ = wait(waiting, return_when=FIRST_COMPLETED)
                    for future in done:
                        segment = waiting.pop(future)
                        page = future.result()
                        if page.last_key:
                            waiting[pool.submit(read, segment, page.last_key)] = segment
                        yield page
            finally:
                pool.shutdown(wait=True, cancel_futures=True)
