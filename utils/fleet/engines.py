"""The engines that there are, and the fleet of the one that is configured."""

from __future__ import annotations

import os
import shutil
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from utils.config import SPARK, EngineConfig
from utils.dynamodb.backoff import RetryPolicy
from utils.error_handler import ConfigurationError
from utils.files.storage import Closes
from utils.fleet.fleet import Fleet
from utils.telemetry.tasks import Tasks


@dataclass
class Engine(Closes):
    """The engine that a run has chosen. `policy` says how often a part is tried, `log` is where
    an engine of others writes its own, `scratch` a directory that all its machines are to see;
    `tasks` are told how these stand. A context manager: its fleet goes when it is closed."""

    chosen: EngineConfig
    policy: RetryPolicy
    log: Path
    scratch: Path
    tasks: Tasks = field(default_factory=Tasks)
    _fleet: Fleet | None = None

    @property
    def fleet(self) -> Fleet | None:
        """Who does a phase's work by parts; None when the processes of this machine do it. Raises
        ConfigurationError when something is missing here that the engine needs."""
        if self._fleet is None:
            self._fleet = fleet_of(self.chosen, self.policy, self.log, self.scratch, self.tasks)
        return self._fleet

    def close(self) -> None:
        """Let the machines go."""
        fleet, self._fleet = self._fleet, None
        if fleet is not None:
            fleet.close()


def fleet_of(
    engine: EngineConfig, policy: RetryPolicy, log: Path, scratch: Path, tasks: Tasks | None = None
) -> Fleet | None:
    """The fleet of an engine, which is not there before it is started; None for this machine's own
    processes. Raises ConfigurationError."""
    if engine.type != SPARK:
        return None
    require_spark()
    from utils.fleet.spark_fleet import SparkFleet  # needs pyspark, which nobody else does

    return SparkFleet(engine, policy, log, scratch, tasks)


def require_spark() -> str:
    """What there is here for Spark, in words. Raises ConfigurationError when something is missing
    that it needs."""
    if find_spec("pyspark") is None:
        raise ConfigurationError(
            f"engine.type is spark, and {sys.executable} has no pyspark",
            remedy="install it: pip install -r requirements-spark.txt; or start the command with "
            "spark-submit; or set engine.type to local",
        )
    if not _has_java():
        raise ConfigurationError(
            "engine.type is spark, and there is no Java here, which Spark runs on",
            remedy="install a Java 17 runtime, or set JAVA_HOME to where it is; or set engine.type "
            "to local",
        )
    with suppress(PackageNotFoundError):
        return f"Spark {version('pyspark')}"
    return "Spark"  # one that is no package, as Amazon's


def _has_java() -> bool:
    home = os.environ.get("JAVA_HOME")
    started = "PYSPARK_GATEWAY_PORT" in os.environ  # by spark-submit
    return started or bool(
        (home and (Path(home) / "bin" / "java").exists()) or shutil.which("java")
    )
