"""What a table says of the switch (`migrate.py cutover`): since when the Sale Module owns the data.

data/cutover.json says it to one data directory. The table says it to all others that reach it: the
item that is the mark of whoever is writing (load/target/writer_mark.py) stays there after the
switch, with `switchedAt`, and no write of S9's data gets past it. Without a holder it has no
`renewals`. A table that is restored from an earlier moment, or made anew, does not have it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from load.target.aws_commands import command as aws_command
from utils.config import TargetConfig
from utils.dynamodb.table_spec import MARK_KEY
from utils.error_handler import ConfigurationError
from utils.wording.invocation import command

AT = "switchedAt"


@dataclass(frozen=True)
class Switched:
    """A switch: when (UTC), by which cut-over, from a data directory on which machine."""

    at: str
    cutover: str
    host: str

    @classmethod
    def in_item(cls, item: Mapping[str, Any]) -> Switched | None:
        """What a mark says of it; None when S9 owns the data, as far as the table knows."""
        at, cutover, host = (
            str(item.get(name, {}).get("S", "")) for name in (AT, "cutover", "switchedOn")
        )
        return cls(at, cutover, host) if at else None

    def attributes(self) -> dict[str, Any]:
        """What it adds to a mark."""
        named = {AT: self.at, "cutover": self.cutover, "switchedOn": self.host}
        return {name: {"S": text} for name, text in named.items()}

    def at_rest(self) -> dict[str, Any]:
        """The mark that nobody holds."""
        return {**MARK_KEY, **self.attributes()}

    def __str__(self) -> str:
        return f"switched at {self.at} by cut-over {self.cutover} on {self.host}"


Allows = Callable[[Switched], bool]


def refusal(target: TargetConfig, table: str, found: Switched, what: str) -> ConfigurationError:
    """The error of whoever would write what S9 had: `what` is about to be done ("a load")."""
    key = ("--key", orjson.dumps(MARK_KEY).decode())
    delete = aws_command(target, "dynamodb", "delete-item", "--table-name", table, *key)
    return ConfigurationError(
        f"S9 is history: {table} was {found}. The Sale Module owns the data, and {what} would "
        "write what S9 had over it; nothing was written",
        remedy=f"see what differs: {command('drift')}; sync all the same: "
        f"{command('sync --after-switch')}; or, in the data directory of that cut-over, give the "
        f"data back to S9 first: {command('cutover --back')} (where the switch was not completed: "
        f"{command('cutover --abort')}). If that directory is lost, the mark is taken away by "
        f"hand, in each table: {delete}",
    )
