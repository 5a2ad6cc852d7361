"""AWSes that import tables from S3, beside the embedded one, which only says that it does.

A ministack that reads what it imports pins another botocore than the tool: it has an environment of
its own (`make test` sets it up, requirements-import-server.txt).
"""

from __future__ import annotations

from collections.abc import Sequence

from tests.support.places import ROOT
from utils.embedded.aws import EmbeddedAws

PYTHON = ROOT / ".venv" / "import-server" / "bin" / "python"
MISSING = "needs .venv/import-server: make .venv/.stamps/import-server"


class ImportingAws(EmbeddedAws):
    """A ministack whose ImportTable reads the objects, counts, and writes an error log."""

    def command(self) -> Sequence[str]:
        # -I: its own packages, not those of the directory in which it is started.
        return [str(PYTHON), "-I", "-c", "import ministack.app; ministack.app.main()"]


def is_installed() -> bool:
    """Whether there is such a server."""
    return PYTHON.exists()
