"""How long `migrate.py --help` takes, beside a Python that does nothing."""

from __future__ import annotations

import subprocess
import sys
import time

from tests.bench.measure import Figures, Job
from tests.support.places import ROOT


def help_text(job: Job) -> Figures:
    """One `migrate.py --help`."""
    return _timed("migrate.py", "--help")


def bare_python(job: Job) -> Figures:
    """The interpreter alone."""
    return _timed("-c", "pass")


def _timed(*arguments: str) -> Figures:
    start = time.perf_counter()
    subprocess.run([sys.executable, *arguments], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    seconds = time.perf_counter() - start
    return Figures(1, seconds, seconds)
