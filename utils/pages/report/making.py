"""report.html at the end of a command, whatever has become of it: made of what there is, and
without a word in how the command has ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path

from utils.config import Config
from utils.error_handler import MigrationError
from utils.logger import get_logger
from utils.pages.report.page import write_page
from utils.wording.invocation import for_real

_EVERY = 600.0  # seconds between two pages of a command that goes on and on


def make_pages(worked_on: Mapping[Path, Config]) -> None:
    """Make the page of every data directory that was worked on, with its configuration. Raises
    nothing: a page that cannot be made is warned of, and is to be made later."""
    for root, config in worked_on.items():
        _make(root, config)


class RenewedPage:
    """The page of a data directory on which a command is at work that goes on and on: made when it
    is called first, and then from time to time."""

    def __init__(
        self, root: Path, config: Config, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._root, self._config, self._clock = root, config, clock
        self._made = float("-inf")

    def __call__(self) -> None:
        """Make it, unless that was done a while ago. Raises nothing, as `make_pages`."""
        if self._clock() - self._made >= _EVERY:
            self._made = self._clock()
            _make(self._root, self._config)


def _make(root: Path, config: Config) -> None:
    try:
        write_page(root, config)
    except Exception as error:
        why = f"a defect of the tool: {error!r}"
        if isinstance(error, MigrationError):
            why = error.message
        get_logger().warning(
            "The page for people could not be made (%s): the reports are in %s all the same. "
            "To make it: %s",
            why,
            root / "reports",
            for_real("report"),
        )
