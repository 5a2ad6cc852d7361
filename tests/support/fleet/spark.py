"""Spark, where there is one: who needs it says that he is skipped without it."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass, fields
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.support.operators.operator import SCRIPT, Operator

MISSING = "needs pyspark and a Java runtime: make .venv/.stamps/spark"


def require_spark() -> None:
    """Skip unless Spark can be started here."""
    if find_spec("pyspark") is None or shutil.which("java") is None:
        pytest.skip(MISSING)


def spark_home() -> Path:
    """Where the pyspark is that this Python has, with its Spark."""
    found = find_spec("pyspark")
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent


@dataclass
class SubmittingOperator(Operator):
    """An operator who types spark-submit in the place of python, with a master of its own."""

    master: str = "local[2,4]"

    @classmethod
    def like(cls, operator: Operator) -> SubmittingOperator:
        """The same desk."""
        return cls(**{part.name: getattr(operator, part.name) for part in fields(Operator)})

    def command(self, *arguments: str) -> list[str]:
        submit = Path(sys.executable).with_name("spark-submit")
        return [str(submit), "--master", self.master, str(SCRIPT), *arguments]


def far(operator: Operator, master: str, **settings: str) -> Operator:
    """The same operator, of a cluster whose machines have no folder of the tool."""
    conf = operator.directory / "conf"
    conf.mkdir()
    written = {
        "spark.executor.memory": "512m",
        "spark.driver.host": "127.0.0.1",
        "spark.executorEnv.PYTHONPATH": "/nowhere",
        **settings,
    }
    (conf / "spark-defaults.conf").write_text(
        "".join(f"{name} {value}\n" for name, value in written.items()), encoding="utf-8"
    )
    operator.environment["SPARK_CONF_DIR"] = str(conf)
    return operator.configure(engine={"master": master})
