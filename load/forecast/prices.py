"""What a load costs, at the prices of the configuration: by batch writes, and by import from S3."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from utils.config import PricesConfig

_MILLION, _GIGABYTE = 1_000_000, 1 << 30


@dataclass(frozen=True)
class Price:
    """Amounts in the currency of `prices`. Writes and reads are what they cost on demand; they cost
    nothing by themselves where a table has provisioned capacity, the hours of which are paid for
    (`by_the_hour`: this is so of a table). An import takes no write units, also not for indexes;
    its files lie in S3 for a month at `storage` at the most. `reads` come to either."""

    prices: PricesConfig
    writes: float
    reads: float
    imported: float
    storage: float
    by_the_hour: bool = False

    @classmethod
    def of(
        cls,
        prices: PricesConfig,
        *,
        write_units: float,
        read_units: float,
        sent_bytes: float,
        by_the_hour: bool = False,
    ) -> Price:
        """The price of so many units, or of the import of files of so many bytes."""
        gigabytes = sent_bytes / _GIGABYTE
        return cls(
            prices,
            0.0 if by_the_hour else price_of_writes(prices, write_units),
            0.0 if by_the_hour else read_units / _MILLION * prices.read_units,
            gigabytes * prices.import_gigabyte,
            gigabytes * prices.s3_gigabyte_month,
            by_the_hour,
        )

    def __add__(self, other: Price) -> Price:
        return Price(
            self.prices,
            self.writes + other.writes,
            self.reads + other.reads,
            self.imported + other.imported,
            self.storage + other.storage,
            self.by_the_hour or other.by_the_hour,
        )

    @property
    def by_batches(self) -> float:
        """All of it, loaded in batches."""
        return self.writes + self.reads

    @property
    def by_import(self) -> float:
        """All of it, imported from S3."""
        return self.imported + self.storage + self.reads

    def as_json(self) -> dict[str, Any]:
        return {
            "currency": self.prices.currency,
            "pricesOf": {"region": self.prices.region, "asOf": self.prices.as_of},
            "batchWrites": {
                "writeUnits": round(self.writes, 4),
                "readUnits": round(self.reads, 4),
                "total": round(self.by_batches, 4),
                "paidByTheHour": self.by_the_hour,
            },
            "importFromS3": {
                "import": round(self.imported, 4),
                "storageAMonth": round(self.storage, 4),
                "readUnits": round(self.reads, 4),
                "total": round(self.by_import, 4),
            },
        }


def price_of_writes(prices: PricesConfig, units: float) -> float:
    """What so many write units cost on demand, in the currency of the prices."""
    return units / _MILLION * prices.write_units


def price_of_reads(prices: PricesConfig, units: float) -> float:
    """The same of read units."""
    return units / _MILLION * prices.read_units
