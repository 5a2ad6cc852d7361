"""What the options of a run ask for, and which of them do not go together."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import click

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600}
_LENGTH = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)([smh]?)", re.ASCII).fullmatch


@dataclass(frozen=True)
class Choice:
    """What the options ask for."""

    full: bool
    phase: str | None
    entity: str | None
    dry_run: bool
    limit: int | None
    rehearse: bool
    resume: bool
    restart: bool
    from_source: bool = False
    watch: float | None = None
    repair: bool = False
    repair_extra: bool = False

    @property
    def repairs(self) -> bool:
        """Whether what verify finds is to be repaired."""
        return self.repair or self.repair_extra

    def tried(self, *, dry: bool) -> tuple[str, ...]:
        """The repairs that this writes, by their options; `dry` writes none."""
        chosen = {"--repair": self.repair, "--repair-extra": self.repair_extra}
        return () if dry else tuple(option for option, is_chosen in chosen.items() if is_chosen)

    def check(self) -> None:
        """Refuse combinations that would not mean what they seem to. Raises click.UsageError."""
        if self.from_source and self.phase != "verify":
            raise click.UsageError("--from-source goes with --phase verify")
        if not (self.full or self.phase or self.dry_run or self.resume or self.repairs):
            raise click.UsageError(
                "say what to do: --full, --phase, --dry-run, --resume or a "
                "command (--help lists them)"
            )
        if self.phase and (self.full or self.resume):
            raise click.UsageError("--phase runs one phase: give it without --full and --resume")
        if self.entity and not self.phase:
            raise click.UsageError("--entity goes with --phase: a full run needs all of them")
        if self.repairs and self.phase != "verify":
            option = "--repair" if self.repair else "--repair-extra"
            raise click.UsageError(
                f"{option} repairs what verify finds: give it with --phase verify"
            )
        if self.dry_run and ((self.phase and not self.repairs) or self.resume):
            raise click.UsageError(
                "--dry-run rehearses a whole run: give it alone or with --full; or with --repair "
                "and --repair-extra"
            )
        if (not self.dry_run or self.repairs) and (self.limit or self.rehearse):
            option = "--limit" if self.limit else "--rehearse"
            raise click.UsageError(f"{option} goes with --dry-run")
        if self.watch is not None and self.phase != "verify":
            raise click.UsageError("--watch goes with --phase verify")
        if self.restart and (not self.full or self.resume):
            raise click.UsageError("--restart goes with --full, and not with --resume")


class Duration(click.ParamType[float]):
    """A length of time: seconds, or a number with s, m or h."""

    name = "duration"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """In seconds. Fails for anything else."""
        found = _LENGTH(str(value).strip())
        if found is None:
            self.fail(f"{value!r} is no length of time: 60, 60s, 10m, 1h", param, ctx)
        return float(found[1]) * _UNITS[found[2]]


def require_one_way(**ways: bool) -> None:
    """Refuse options of one command that each mean another way of doing it. Raises
    click.UsageError."""
    chosen = [f"--{name.replace('_', '-')}" for name, is_chosen in ways.items() if is_chosen]
    if len(chosen) > 1:
        raise click.UsageError(f"{' and '.join(chosen)} do not go together: give one of them")
