"""What tables and indexes take in a second, as DescribeTable says it.

Sources, in the Amazon DynamoDB Developer Guide: "DynamoDB on-demand capacity mode" (a new table
takes 4,000 write units a second and 12,000 read units; more than twice the previous peak within 30
minutes may be throttled), "DynamoDB warm throughput", "Quotas in Amazon DynamoDB" (40,000 for a
table, and for an index, by default), "Partitions and data distribution in DynamoDB".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

PARTITION_WRITES = 1_000.0  # write units a second for one partition key, hard
_NEW_WRITES, _NEW_READS, _QUOTA = 4_000.0, 12_000.0, 40_000.0
_DOUBLES_AFTER = 1_800.0  # seconds
_ON_DEMAND = "PAY_PER_REQUEST"
ON_DEMAND, PROVISIONED = "on-demand", "provisioned"


@dataclass(frozen=True)
class Capacity:
    """What a table or an index takes: `writes` and `reads`, units a second. On demand it grows to
    `most_writes` under a load that lasts. `because` says where the figure comes from."""

    mode: str
    writes: float
    reads: float
    most_writes: float
    because: str

    def seconds_for(self, units: float) -> float:
        """How long it takes to write so many units as fast as they are taken."""
        rate, seconds = self.writes, 0.0
        while rate < self.most_writes and units > rate * _DOUBLES_AFTER:
            units -= rate * _DOUBLES_AFTER
            seconds += _DOUBLES_AFTER
            rate = min(2 * rate, self.most_writes)
        return seconds + units / rate


_OF_A_NEW_TABLE = Capacity(
    ON_DEMAND, _NEW_WRITES, _NEW_READS, _QUOTA, "what a new table takes at first"
)


class Capacities:
    """The capacity of a table and of each of its indexes; `description` is what DescribeTable says
    of it, None of a table that is to be created (on demand)."""

    def __init__(self, description: Mapping[str, Any] | None) -> None:
        self._found = dict(_described(description)) if description else {}

    def of(self, index: str) -> Capacity:
        """That of an index, "" for the table. A local index has that of its table."""
        return self._found.get(index) or self._found.get("") or _OF_A_NEW_TABLE

    @property
    def is_on_demand(self) -> bool:
        """Whether what is used is paid for, and not what is held ready."""
        return self.of("").mode == ON_DEMAND


def _described(description: Mapping[str, Any]) -> Iterator[tuple[str, Capacity]]:
    billing = description.get("BillingModeSummary", {}).get("BillingMode")
    provisioned = (description.get("ProvisionedThroughput") or {}).get("WriteCapacityUnits") or 0
    on_demand = billing == _ON_DEMAND or not provisioned
    read = _on_demand if on_demand else _provisioned
    yield "", read(description)
    for index in description.get("GlobalSecondaryIndexes") or ():
        yield index["IndexName"], read(index)


def _provisioned(described: Mapping[str, Any]) -> Capacity:
    units = described.get("ProvisionedThroughput") or {}
    writes = float(units.get("WriteCapacityUnits") or 1)
    reads = float(units.get("ReadCapacityUnits") or 1)
    return Capacity(PROVISIONED, writes, reads, writes, "its provisioned capacity")


def _on_demand(described: Mapping[str, Any]) -> Capacity:
    warm, own = described.get("WarmThroughput") or {}, described.get("OnDemandThroughput") or {}
    writes, reads = warm.get("WriteUnitsPerSecond"), warm.get("ReadUnitsPerSecond")
    because = "its warm throughput" if writes else _OF_A_NEW_TABLE.because
    found = float(writes or _NEW_WRITES)
    limit = float(own.get("MaxWriteRequestUnits") or 0)
    if 0 < limit < found:
        because = "its own limit (OnDemandThroughput)"
    most = limit if limit > 0 else max(found, _QUOTA)
    found_reads, read_limit = (
        float(reads or _NEW_READS),
        float(own.get("MaxReadRequestUnits") or 0),
    )
    return Capacity(
        ON_DEMAND,
        min(found, most),
        min(found_reads, read_limit) if read_limit > 0 else found_reads,
        most,
        because,
    )
