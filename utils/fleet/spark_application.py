"""A Spark application of a run's own: started with what is configured, or the one that spark-submit
has started."""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from py4j.java_gateway import JavaGateway
from py4j.protocol import Py4JError
from pyspark import SparkConf, SparkContext
from pyspark.errors import PySparkException
from pyspark.java_gateway import launch_gateway

from utils.config import EngineConfig
from utils.error_handler import MigrationError
from utils.files.storage import open_private, write_atomically
from utils.fleet.machines.code_archive import TOOL, write_code
from utils.fleet.spark_jobs import cause_of
from utils.logger import get_logger
from utils.wording.invocation import again

_HERE = "local[*,4]"  # all cores of this machine; as on a cluster, the fourth failure is the last
_UNNAMED, _SHELL, _THIS_MACHINE = "local[*]", "pyspark-shell", "local"
_STANDALONE, _CONNECTS_IN = "spark://", 10.0
_LOOPBACK = "127.0.0.1"
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
    """Start Spark as an engine is configured; its JVM writes to `log`. Not for the main thread, in
    which pyspark would take Ctrl-C for itself. Raises MigrationError when it does not start."""
    # What it has to say of a JVM that is gone, we say.
    logging.getLogger("py4j").propagate = False
    logging.getLogger("py4j").addHandler(logging.NullHandler())
    # The workers are to be of the same Python, with the same packages.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    if not is_submitted():
        _require_master(engine.master or "")
    try:
        gateway = _gateway(engine, log)
        context = SparkContext(conf=_conf(engine, gateway), gateway=gateway)
    except (Py4JError, PySparkException, OSError, ValueError) as error:
        raise _no_spark(engine, log, cause_of(error)) from error
    context.setLogLevel("WARN")
    listening: Any = context._accumulatorServer
    listening.handle_error = _told_no_more
    get_logger().info("Spark %s at %s", context.version, context.master)
    return context


def _told_no_more(*_: object) -> None:
    """An error where pyspark takes in what tasks tell, which it would print: that Spark has gone is
    said by whoever needs it next."""
    error = sys.exc_info()[1]
    if not isinstance(error, (EOFError, OSError)):
        kind = type(error).__name__
        get_logger().warning("What a task of the fleet has told cannot be read: %s", kind)


def bring_code(context: SparkContext, archive: Path) -> None:
    """Have the tool's own code at hand for machines that may not have it: in an `archive` that is
    to stay while there are such. Raises StorageError."""
    if str(context.master).startswith(_THIS_MACHINE):
        return
    write_code(archive)
    context.addPyFile(str(archive))


def is_submitted() -> bool:
    """Whether spark-submit has started this process, and Spark's JVM before it."""
    return "PYSPARK_GATEWAY_PORT" in os.environ


def _require_master(master: str) -> None:
    """Raise MigrationError when nobody listens where a standalone cluster's master is to be: Spark
    itself would try for a minute, and speak of something else then."""
    said = ""
    for host, _, port in (each.rpartition(":") for each in master[len(_STANDALONE) :].split(",")):
        if not master.startswith(_STANDALONE) or not port.isdecimal():
            return
        try:
            socket.create_connection((host.strip("[]"), int(port)), _CONNECTS_IN).close()
        except OSError as error:
            said = str(error.strerror or error)
        else:
            return  # others may stand by
    raise MigrationError(
        f"nobody answers at engine.master {master}: {said}",
        remedy="start Spark's master, correct engine.master, or see that this machine reaches it; "
        f"or set engine.type to local; then: {again()}",
    )


def _gateway(engine: EngineConfig, log: Path) -> JavaGateway:
    """The way to Spark's JVM, which writes to the log and not to the screen. Where spark-submit has
    started it, it is there already."""
    first = SparkConf(loadDefaults=False)
    if engine.master:
        first.set("spark.master", engine.master)
    option = f"-Dlog4j2.configurationFile={_logging(log)}"
    given = os.environ.get("SPARK_SUBMIT_OPTS", "")
    os.environ["SPARK_SUBMIT_OPTS"] = f"{option} {given}"
    try:
        with open_private(log, "ab") as output:
            return launch_gateway(
                first, {"stdin": subprocess.PIPE, "stdout": output, "stderr": output}
            )
    finally:
        os.environ["SPARK_SUBMIT_OPTS"] = given


def _conf(engine: EngineConfig, gateway: JavaGateway) -> SparkConf:
    """What Spark is started with. What spark-submit and Spark's own files say is known to the JVM
    by now, and goes first; where they say nothing of a master, it has one that nobody has named."""
    conf = SparkConf(_jvm=gateway.jvm)
    if not is_submitted() and conf.get("spark.master", _UNNAMED) == _UNNAMED:
        conf.set("spark.master", engine.master or _HERE)
    if conf.get("spark.app.name", _SHELL) == _SHELL:
        conf.set("spark.app.name", "s9-migration")
    conf.set("spark.ui.showConsoleProgress", "false")  # the screen is ours
    for name, value in (
        ("spark.ui.enabled", "false"),  # a page that anybody could look at
        ("spark.ui.liveUpdate.period", "0"),  # what is asked of tasks is as it is then
        ("spark.executorEnv.PYTHONPATH", str(TOOL)),
    ):
        conf.setIfMissing(name, value)
    if str(conf.get("spark.master")).startswith(_THIS_MACHINE) and not is_submitted():
        conf.setIfMissing("spark.driver.host", _LOOPBACK)
        conf.setIfMissing("spark.driver.bindAddress", _LOOPBACK)
    return conf


def _logging(log: Path) -> Path:
    """Where the JVM reads that it is to write its log to a file."""
    path = log.with_suffix(".properties")
    write_atomically(path, _LOG_TO_FILE.format(log=log.resolve()).encode())
    return path.resolve()


def _no_spark(engine: EngineConfig, log: Path, said: str) -> MigrationError:
    return MigrationError(
        f"Spark could not be started with engine.master {engine.master or _HERE}: {said}",
        remedy=f"see {log}; check engine.master, and that this machine and the cluster reach each "
        f"other; or set engine.type to local; then: {again()}",
    )
