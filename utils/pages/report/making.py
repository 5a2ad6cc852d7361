"""report.html at the end of a command, whatever has become of it: made of what there is, and
without a word in how the command has ended."""

from __future__ import annotations

from utils.error_handler import MigrationError
from utils.logger import get_logger
from utils.pages.report.page import write_page
from utils.telemetry.worked_on import take_worked_on
from utils.wording.invocation import for_real


def make_pages() -> None:
    """Make the page of every data directory that this process has worked on. Raises nothing: a page
    that cannot be made is warned of, and is to be made later."""
    for root, config in take_worked_on().items():
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
