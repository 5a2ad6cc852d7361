"""A small Spark cluster on this machine: a master and its workers, each a process of its own."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType

from utils.embedded.ports import free_port

_HOST = "127.0.0.1"
_PATIENCE = 60.0
_MASTER = "org.apache.spark.deploy.master.Master"
_WORKER = "org.apache.spark.deploy.worker.Worker"


class Cluster:
    """A context manager: all of its processes are gone afterwards. `home` is where the pyspark is
    whose Spark it runs; each worker has one core. Workers see nothing of what is `hidden`, as on
    machines that do not have these directories: that takes the right to mount (root)."""

    def __init__(
        self, home: Path, directory: Path, workers: int = 2, *, hidden: Sequence[Path] = ()
    ) -> None:
        self._home = home
        self._directory = directory
        self._count = workers
        self._hidden = [str(path) for path in hidden]
        self._port = free_port()
        self._stack = ExitStack()
        self.workers: list[subprocess.Popen[bytes]] = []

    @property
    def url(self) -> str:
        """What engine.master is for it."""
        return f"spark://{_HOST}:{self._port}"

    def __enter__(self) -> Cluster:
        self._directory.mkdir(parents=True, exist_ok=True)
        master = "--host", _HOST, "--port", str(self._port), "--webui-port", "0"
        self._start("master", _MASTER, *master)
        self._wait_for("master", "I have been elected leader")
        for number in range(self._count):
            self.add_worker(number)
        return self

    def add_worker(self, number: int) -> None:
        """Have one more machine."""
        name = f"worker-{number}"
        options = "--cores", "1", "--memory", "1g", "--webui-port", "0", "--host", _HOST
        work = "--work-dir", str(self._directory / name)
        self.workers.append(self._start(name, _WORKER, *options, *work, self.url))
        self._wait_for(name, "Successfully registered with master")

    def lose(self, number: int) -> None:
        """A machine is gone, with all that runs on it."""
        worker = self.workers[number]
        os.killpg(worker.pid, signal.SIGKILL)
        worker.wait()

    def _start(self, name: str, kind: str, *options: str) -> subprocess.Popen[bytes]:
        log = self._stack.enter_context((self._directory / f"{name}.log").open("ab"))
        environment = {
            "PATH": os.environ["PATH"],
            "SPARK_HOME": str(self._home),
            "SPARK_LOCAL_IP": _HOST,
            "SPARK_DAEMON_MEMORY": "256m",
        }
        command = [str(self._home / "bin" / "spark-class"), kind, *options]
        if self._hidden and kind == _WORKER:
            mounts = "".join(
                f"mount -t tmpfs none {shlex.quote(path)} && " for path in self._hidden
            )
            command = ["unshare", "--mount", "sh", "-c", mounts + 'exec "$@"', "sh", *command]
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment,
            start_new_session=True,
        )
        self._stack.callback(process.wait)
        self._stack.callback(_kill, process)
        return process

    def _wait_for(self, name: str, words: str) -> None:
        until, log = time.monotonic() + _PATIENCE, self._directory / f"{name}.log"
        while words not in (said := log.read_text(encoding="utf-8", errors="replace")):
            assert time.monotonic() < until, said
            time.sleep(0.1)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()


def _kill(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
