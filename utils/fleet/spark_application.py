"""A Spark application of a run's own: started with what is configured, or the one that spark-submit
has started."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from py4j.java_gateway import JavaGateway
from py4j.protocol import Py4JError
from pyspark import SparkConf, SparkContext
from pyspark.errors import PySparkException
from pyspark.java_gateway import launch_gateway

from utils.config import EngineConfig
from utils.error_handler import MigrationError
from utils.files.storage import open_private, write_atomically
from utils.logger import get_logger
from utils.wording.figures import counted
from utils.wording.invocation import again
from utils.wording.masking import scrub

_HERE = "local[*,4]"  # all cores of this machine; as on a cluster, the fourth failure is the last
_LOOPBACK = "127.0.0.1"
_ROOT = Path(__file__).resolve().parents[2]
_LOG_TO_FILE = """\
rootLogger.level = warn
rootLogger.appenderRef.file.ref = file
appender.file.type = File
appender.file.name = file
appender.file.fileName = {log}
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = %d %p %c{{1}}: %m%n%ex
"""


def open_application(engine: EngineConfig, log: Path) -> SparkContext:
    """Start Spark as an engine is configured; its JVM writes to `log`. Raises MigrationError when
    it does not start."""
    # The workers are to be of the same Python, with the same packages.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    try:
        gateway, conf = (_submitted if is_submitted() else _launched)(engine, log)
        context = SparkContext(conf=conf, gateway=gateway)
    except (Py4JError, PySparkException, OSError, ValueError) as error:
        raise _no_spark(engine, log, str(error)) from error
    context.setLogLevel("WARN")
    get_logger().info(
        "Spark %s at %s, with %s at once",
        context.version,
        context.master,
        counted(context.defaultParallelism, "task"),
    )
    return context


def is_submitted() -> bool:
    """Whether spark-submit has started this process, and Spark's JVM before it."""
    return "PYSPARK_GATEWAY_PORT" in os.environ


def _submitted(engine: EngineConfig, log: Path) -> tuple[JavaGateway, SparkConf]:
    """The way to the JVM that spark-submit has started, with what it has not been told."""
    gateway, conf = launch_gateway(), SparkConf()
    said = gateway.jvm.java.lang.System.getProperty
    for name, value in _settings(engine, log).items():
        if said(name) is None:
            conf.set(name, value)
    return gateway, conf


def _launched(engine: EngineConfig, log: Path) -> tuple[JavaGateway, SparkConf]:
    """A JVM of our own, which writes to the log and not to the screen."""
    conf = SparkConf()
    for name, value in _settings(engine, log).items():
        conf.setIfMissing(name, value)
    with open_private(log, "ab") as output:
        streams = {"stdin": subprocess.PIPE, "stdout": output, "stderr": output}
        return launch_gateway(conf, streams), conf


def _settings(engine: EngineConfig, log: Path) -> dict[str, str]:
    """What Spark is to be told, unless it has been told otherwise."""
    master = engine.master or _HERE
    settings = {
        "spark.master": master,
        "spark.app.name": "s9-migration",
        "spark.ui.enabled": "false",  # a page that anybody could look at
        "spark.ui.showConsoleProgress": "false",
        "spark.executorEnv.PYTHONPATH": str(_ROOT),
        "spark.driver.extraJavaOptions": f"-Dlog4j2.configurationFile={_logging(log)}",
    }
    if master.startswith("local") and not is_submitted():
        settings |= {"spark.driver.host": _LOOPBACK, "spark.driver.bindAddress": _LOOPBACK}
    return settings


def _logging(log: Path) -> Path:
    """Where the JVM reads that it is to write its log to a file."""
    path = log.with_suffix(".properties")
    write_atomically(path, _LOG_TO_FILE.format(log=log.resolve()).encode())
    return path.resolve()


def _no_spark(engine: EngineConfig, log: Path, said: str) -> MigrationError:
    first = scrub(said.strip().partition("\n")[0])
    return MigrationError(
        f"Spark could not be started with engine.master {engine.master or _HERE}: {first}",
        remedy=f"see {log}; check engine.master, and that this machine and the cluster reach each "
        f"other; or set engine.type to local; then: {again()}",
    )
