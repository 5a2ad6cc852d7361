"""A way to S3 on which every request is seen, as the permission that AWS asks for it."""

from __future__ import annotations

from collections.abc import Collection
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, unquote, urlsplit

from tests.support.aws.proxy import Served
from utils.embedded.aws import EmbeddedAws

_NOT_ONWARD = {"connection", "transfer-encoding", "content-length", "date", "server"}


class S3Watch(Served):
    """The way. `asked` are the permissions that were needed: action, and bucket or bucket/key.
    While it `is_away`, S3 says that it is unavailable. Headers that it `forgets` do not arrive."""

    def __init__(self, aws: EmbeddedAws, forgets: Collection[str] = ()) -> None:
        self.forgets = forgets
        self.asked: set[tuple[str, str]] = set()
        self.is_away = False
        self.aws = aws
        super().__init__(_handler(self))


def permissions_of(method: str, url: str) -> set[tuple[str, str]]:
    """The permissions that a request in path style needs (service authorization reference)."""
    parts = urlsplit(url)
    bucket, _, key = unquote(parts.path).strip("/").partition("/")
    query = parse_qs(parts.query, keep_blank_values=True)
    if key:
        action = {
            "PUT": "PutObject",
            "POST": "PutObject",
            "GET": "GetObject",
            "HEAD": "GetObject",
        }.get(method)
        if method == "DELETE":
            action = "AbortMultipartUpload" if "uploadId" in query else "DeleteObject"
        return {(f"s3:{action}", f"{bucket}/{key}")}
    if method == "POST" and "delete" in query:  # of versions, as they are listed
        return {("s3:DeleteObject", f"{bucket}/"), ("s3:DeleteObjectVersion", f"{bucket}/")}
    by_word = {
        "versions": "ListBucketVersions",
        "uploads": "ListBucketMultipartUploads",
        "encryption": "GetEncryptionConfiguration",
        "versioning": "GetBucketVersioning",
        "lifecycle": "GetLifecycleConfiguration",
        "policyStatus": "GetBucketPolicyStatus",
    }
    found = [action for word, action in by_word.items() if word in query]
    return {(f"s3:{(found or ['ListBucket'])[0]}", bucket)}


def _handler(watch: S3Watch) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def pass_on(self) -> None:
            watch.asked.update(permissions_of(self.command, self.path))
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if watch.is_away:
                self.send_response(503)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            onward = HTTPConnection(watch.aws.host, watch.aws.port, timeout=30)
            headers = {k: v for k, v in self.headers.items() if k.lower() not in watch.forgets}
            onward.request(self.command, self.path, body, headers)
            answer = onward.getresponse()
            content = answer.read()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in _NOT_ONWARD:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)
            onward.close()

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = pass_on  # noqa: N815

        def log_message(self, *_: object) -> None:
            return

    return Handler
