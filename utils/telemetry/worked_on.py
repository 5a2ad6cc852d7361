"""Which data directories this process has worked on, for whoever tells of that when the work is
over (report.html is made when a command ends, however it ends)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from utils.config import Config

_worked_on: dict[Path, Config] = {}


def works_on(root: Path, config: Config) -> None:
    """A command begins to work on a data directory, with this configuration."""
    _worked_on[root] = config


def take_worked_on() -> dict[Path, Config]:
    """The directories since the last time, each with the configuration of the last command."""
    found = dict(_worked_on)
    _worked_on.clear()
    return found
