"""A way to DynamoDB that a test can close."""

from __future__ import annotations

import threading
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler

from tests.support.aws.proxy import Served

MARK = b"MIGRATION#LOCK"  # what says that a load is at work is none of its writes
WRITES = ("BatchWriteItem", "PutItem", "DeleteItem")


class Gateway(Served):
    """A way to DynamoDB that can be closed: answers like the real endpoint, or hangs up.

    `writes` is how many requests that write items still come through, None for all of them.
    """

    def __init__(self, host: str, port: int) -> None:
        self.writes: int | None = None
        self._lock = threading.Lock()
        gateway = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True
            wbufsize = -1

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                operation = self.headers["X-Amz-Target"].rpartition(".")[2]
                if operation in WRITES and MARK not in body and not gateway.lets_through():
                    self.close_connection = True
                    return
                onward = HTTPConnection(host, port, timeout=30)
                try:
                    onward.request("POST", "/", body, dict(self.headers))
                    answer = onward.getresponse()
                    content = answer.read()
                except (OSError, HTTPException):
                    self.close_connection = True
                    return
                finally:
                    onward.close()
                self.send_response(answer.status)
                for name in ("Content-Type", "x-amz-crc32", "x-amzn-requestid"):
                    if answer.headers[name]:
                        self.send_header(name, answer.headers[name])
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                return

        super().__init__(Handler)

    def lets_through(self) -> bool:
        with self._lock:
            if self.writes is None:
                return True
            self.writes -= 1
            return self.writes >= 0
