"""What is to be done about what a forecast has found: only what helps.

Neither warm throughput nor provisioned capacity nor more senders change what one partition key
takes. A write that an index throttles is throttled on the table as well ("GSI back-pressure",
DynamoDB developer guide): of the application that is at work there, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from load.forecast.capacity import PROVISIONED
from load.forecast.figures import TableForecast
from load.forecast.hours import HOT_KEY, Limit, duration
from utils.config import Config

_WORTH_A_WORD = 60.0  # seconds
_BELOW_THE_LIMIT = 0.9


def advice_on(config: Config, tables: Sequence[TableForecast]) -> Iterator[str]:
    """What an operator may do about the loads that take a while, each in a sentence or two; and
    about prices that are those of elsewhere."""
    for table in tables:
        load = table.time_of("load")
        if load and load.bottleneck and load.seconds >= _WORTH_A_WORD:
            yield _on(table, load.bottleneck, _without(load.limits))
    if config.prices.region != config.target.region and config.target.endpoint_url is None:
        yield (
            f"The prices are those of {config.prices.region}, and the tables are in "
            f"{config.target.region}: set those of {config.target.region} in `prices`"
        )


def _without(limits: Sequence[Limit]) -> float:
    """How long it would take but for the bottleneck."""
    return limits[1].seconds if len(limits) > 1 else 0.0


def _on(table: TableForecast, limit: Limit, otherwise: float) -> str:
    say = {
        HOT_KEY: _on_hot_key,
        "capacity": _on_capacity,
        "max-write-units": _on_max_write_units,
        "machine": _on_machine,
        "requests": _on_requests,
    }[limit.kind]
    return say(table, limit, otherwise)


def _on_hot_key(table: TableForecast, limit: Limit, otherwise: float) -> str:
    where = f"the index {limit.index}" if limit.index else f"the table {table.table}"
    rate = int(_BELOW_THE_LIMIT * table.write_units / limit.seconds)
    return (
        f"Allow {duration(limit.seconds)} for the load of {table.entity} (without the hot key "
        f"{limit.key} of {where} it would take {duration(otherwise)}). More capacity, warm "
        "throughput or more senders do not help: one partition key takes no more. While the "
        "load is at this limit the application's own writes of such records are throttled as "
        f"well; migration.maxWriteUnits {rate:,} leaves it a tenth"
    )


def _on_capacity(table: TableForecast, limit: Limit, otherwise: float) -> str:
    where = f"the index {limit.index}" if limit.index else f"the table {table.table}"
    gains = f"it would take {duration(otherwise)} with as much as it can use"
    if table.mode == PROVISIONED:
        return (
            f"The load of {table.entity} is held up by the provisioned write capacity of {where} "
            f"({duration(limit.seconds)}; {gains}): raise it for the load, or let the table be on "
            "demand meanwhile"
        )
    return (
        f"The load of {table.entity} is held up by what {where} takes at first "
        f"({duration(limit.seconds)}; {gains}): ask for more warm throughput beforehand "
        f"(aws dynamodb update-table --table-name {table.table} --warm-throughput …)"
    )


def _on_max_write_units(table: TableForecast, limit: Limit, otherwise: float) -> str:
    return (
        f"The load of {table.entity} is held up by migration.maxWriteUnits "
        f"({duration(limit.seconds)}; without it {duration(otherwise)})"
    )


def _on_machine(table: TableForecast, limit: Limit, otherwise: float) -> str:
    return (
        f"The load of {table.entity} is held up by this machine ({duration(limit.seconds)}; but "
        f"for that {duration(otherwise)}): one with more cores sends faster"
    )


def _on_requests(table: TableForecast, limit: Limit, otherwise: float) -> str:
    return (
        f"The load of {table.entity} waits for answers ({duration(limit.seconds)}; but for that "
        f"{duration(otherwise)}): run it in the region of the tables, and without "
        "migration.workers and migration.batchDelay"
    )
