"""Spark, where there is one: who needs it says that he is skipped without it."""

from __future__ import annotations

import shutil
from importlib.util import find_spec

import pytest

MISSING = "needs pyspark and a Java runtime: make .venv/.stamps/spark"


def require_spark() -> None:
    """Skip unless Spark can be started here."""
    if find_spec("pyspark") is None or shutil.which("java") is None:
        pytest.skip(MISSING)
