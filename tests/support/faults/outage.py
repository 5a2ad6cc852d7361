"""The target is away for a while."""

from __future__ import annotations

import time
from dataclasses import dataclass

from tests.support.aws.proxy import Answer, FaultyProxy, Plan, Request, unavailable
from tests.support.faults.sabotage import SabotagedOperator, retries
from tests.support.operators.operator import Operator
from utils.embedded.aws import EmbeddedAws

AFTER = 40  # batches: in the sales


@dataclass
class Outage:
    """From the batch after `AFTER` on no write is answered but with 503, for so many seconds."""

    seconds: float
    seen: int = 0
    until: float = 0.0

    def __call__(self, request: Request) -> Answer | None:
        if request.operation not in ("BatchWriteItem", "PutItem"):
            return None
        self.seen += request.operation == "BatchWriteItem"
        if self.seen == AFTER and not self.until:
            self.until = time.monotonic() + self.seconds
        away = time.monotonic() < self.until
        return unavailable(request, lambda _: Answer(200, b"")) if away else None


def endured(
    operator: Operator, aws: EmbeddedAws, seconds: float, workers: int, **migration: object
) -> SabotagedOperator:
    """Who has loaded, with so many batches in flight, through an outage of so many seconds."""
    outage = Outage(seconds)
    with FaultyProxy(aws, Plan(always=outage)) as proxy:
        operator.configure(
            target={"endpoint": proxy.url},
            migration={"workers": workers, "batchSize": 5, **migration},
        )
        tool = SabotagedOperator.like(operator)
        tool.run("--full").ended(5)
    assert outage.until, "there was no outage"
    assert retries(tool)["HTTP 503"] >= min(workers, 8) // 4 or 1  # all batches of some threads
    return tool
