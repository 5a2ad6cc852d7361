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
    conf = _conf(engine, log)
    try:
        context = SparkContext(conf=conf, gateway=_gateway(conf, log))
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


def _gateway(conf: SparkConf, log: Path) -> JavaGateway:
    """The way to Spark's JVM, which writes to the log and not to the screen. Where spark-submit has
    started it, it is there already."""
    with open_private(log, "ab") as output:
        return launch_gateway(conf, {"stdin": subprocess.PIPE, "stdout": output, "stderr": output})


def _conf(engine: EngineConfig, log: Path) -> SparkConf:
    """What Spark is started with: what spark-submit and Spark's own files say goes first."""
    conf = SparkConf()
    master = conf.get("spark.master") or engine.master or _HERE
    for name, value in (
        ("spark.master", master),
        ("spark.app.name", "s9-migration"),
        ("spark.ui.enabled", "false"),  # a page that anybody could look at
        ("spark.ui.showConsoleProgress", "false"),
        ("spark.executorEnv.PYTHONPATH", str(_ROOT)),
        ("spark.driver.extraJavaOptions", f"-Dlog4j2.configurationFile={_logging(log)}"),
    ):
        conf.setIfMissing(name, value)
    if master.startswith("local"):
        conf.setIfMissing("spark.driver.host", _LOOPBACK)
        conf.setIfMissing("spark.driver.bindAddress", _LOOPBACK)
    return conf


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
