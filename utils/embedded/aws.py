"""An AWS to migrate to: ministack, a LocalStack-compatible server, on a free local port.

It keeps everything in memory and forgets it when it stops. Writes to tables are charged as DynamoDB
documents them (utils/embedded/metered_server.py).
"""

from __future__ import annotations

import http.client
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import ClassVar

from utils.embedded.ports import LOOPBACK, free_port, is_free
from utils.embedded.process import ServerProcess, log_tail
from utils.embedded.wheels import wheel_directory
from utils.error_handler import TargetError

START_SECONDS = 60.0
_POLL_SECONDS = 0.02
_ATTEMPTS = 5
_PROGRAM = Path(__file__).with_name("metered_server.py")
SERVICES = ("dynamodb", "s3", "logs", "monitoring", "sts")


class EmbeddedAws:
    """The server. Use it as a context manager, or call `start` and `stop`.

    `log` receives its output (None: nowhere). While it runs, `endpoint_url` answers; any
    credentials and any region are accepted, and each region has tables of its own.
    """

    package: ClassVar[str] = "ministack"
    distribution: ClassVar[str] = "ministack"
    health_path: ClassVar[str] = "/_ministack/health"

    def __init__(self, log: Path | None = None) -> None:
        self._log = log
        self._server: ServerProcess | None = None
        self.host = LOOPBACK
        self.port = 0

    @property
    def endpoint_url(self) -> str:
        """What `target.endpoint` of a configuration and boto3's endpoint_url take."""
        return f"http://{self.host}:{self.port}"

    @property
    def running(self) -> bool:
        """Whether the server has been started and has not ended."""
        return self._server is not None and self._server.running

    def __enter__(self) -> EmbeddedAws:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start and wait until it answers; a second call does nothing.

        A server that was stopped starts on the port it had, if that is still free. Raises
        ConfigurationError when the wheel is not installed, TargetError when it does not start.
        """
        if self.running:
            return
        site_packages = wheel_directory(self.package, distribution=self.distribution).parent
        for _ in range(_ATTEMPTS):
            if not self.port or not is_free(self.port):
                self.port = free_port()
            self._server = ServerProcess(
                self.command(),
                log=self._log,
                environment=self._environment(),
                # The project's own packages (utils, load, …) must not be found by the server's
                # libraries in the current directory.
                directory=site_packages,
            )
            if self._answers():
                return
            self.stop()
            if is_free(self.port):
                break  # it was not the port that somebody else took in the meantime
        raise TargetError(
            f"the embedded AWS ({self.distribution}) did not start on {self.endpoint_url}"
            + (f":\n{log_tail(self._log)}" if self._log else ""),
            remedy="free some memory and try again, or point target.endpoint at a LocalStack "
            "that runs",
        )

    def stop(self) -> None:
        """Stop; everything in it is gone. Does nothing when it does not run."""
        if self._server is not None:
            self._server.stop(timeout=5.0)

    def command(self) -> Sequence[str]:
        """The command line of the server."""
        return [sys.executable, str(_PROGRAM)]

    def settings(self) -> dict[str, str]:
        """The environment variables that configure the server."""
        return {
            "GATEWAY_PORT": str(self.port),
            "BIND_HOST": self.host,
            "LOG_LEVEL": "WARNING",
            "SERVICES": ",".join(SERVICES),
            # Otherwise it opens two more ports (SFTP, MQTT) and, where Docker runs, removes the
            # containers of another ministack.
            "SFTP_ENABLED": "0",
            "IOT_MTLS_ENABLED": "0",
            "DOCKER_HOST": "unix:///nonexistent",
            "PERSIST_STATE": "0",
            "S3_PERSIST": "0",
        }

    def _environment(self) -> dict[str, str]:
        # Nothing of a real account: neither its credentials nor its endpoints.
        inherited = {name: value for name, value in os.environ.items() if name[:4] != "AWS_"}
        return {**inherited, **self.settings()}

    def _answers(self) -> bool:
        deadline = time.monotonic() + START_SECONDS
        while self.running and time.monotonic() < deadline:
            try:
                if self._request("GET", self.health_path, timeout=2.0) == 200:
                    return self.running
            except (OSError, http.client.HTTPException):
                pass
            time.sleep(_POLL_SECONDS)
        return False

    def _request(self, method: str, path: str, *, timeout: float) -> int:
        # http.client: no proxy of the environment comes between.
        connection = http.client.HTTPConnection(self.host, self.port, timeout=timeout)
        try:
            connection.request(method, path)
            response = connection.getresponse()
            response.read()
            return response.status
        finally:
            connection.close()
