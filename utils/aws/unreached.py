"""Why nobody answered: host, port and cause, in words for whoever has to fix it."""

from __future__ import annotations

import errno
import socket
import ssl
from dataclasses import dataclass

from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError
from urllib3.util import Url
from urllib3.util.ssl_match_hostname import CertificateError

from utils.aws.errors import clock, shortened
from utils.error_handler import BackOff

# X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED of OpenSSL.
_OF_THEIR_TIME = (9, 10)
_LOST, _LATE = "ConnectionLost", "Timeout"


class Unreached(BackOff):
    """Nobody answered; `detail` says who was asked and what came of it. `sent` is whether anything
    of the request may have arrived."""

    sent = True


@dataclass(frozen=True)
class Asked:
    """Who is asked: the server, and the proxy before it. Times in seconds."""

    url: Url
    proxy: Url | None
    connect_timeout: float
    read_timeout: float

    @property
    def server(self) -> str:
        return _place(self.url)

    @property
    def nearest(self) -> str:
        """Whom a connection is opened to."""
        return f"the proxy at {_place(self.proxy)}" if self.proxy else self.server

    @property
    def way(self) -> str:
        return f" through {self.nearest}" if self.proxy else ""

    def why_not_connected(self, error: Exception) -> Unreached:
        """What it means that no connection could be opened."""
        late = isinstance(error, (TimeoutError, ConnectTimeoutError))
        late = late and not isinstance(error, NewConnectionError)  # to urllib3 a kind of it
        problem = Unreached(_LATE if late else _LOST, self._connecting(error, late=late))
        problem.sent = False
        return problem

    def why_not_answered(self, error: Exception) -> Unreached:
        """What it means that an open connection has brought no answer."""
        if isinstance(error, TimeoutError):
            seconds = f"{self.read_timeout:g} seconds"
            return Unreached(_LATE, f"{self.server}{self.way} did not answer within {seconds}")
        said = f" ({error.strerror})" if isinstance(error, OSError) and error.strerror else ""
        return Unreached(
            _LOST, f"{self.server}{self.way} closed the connection before it answered{said}"
        )

    def why_encrypted(self) -> Unreached:
        """A server that has answered in TLS what was asked without."""
        return Unreached(_LOST, f"{self.server}{self.way} speaks TLS only: is it https://?")

    def why_too_slow(self, seconds: float) -> Unreached:
        """An answer that has begun, and does not come to its end."""
        return Unreached(
            _LATE, f"{self.server}{self.way} did not finish an answer within {seconds:g} s"
        )

    def _connecting(self, error: Exception, *, late: bool) -> str:
        if late:
            seconds = f"{self.connect_timeout:g} seconds"
            return f"{self.nearest} did not connect within {seconds}"
        if isinstance(error, NewConnectionError):
            return self._opening(error.__cause__ or error)
        if isinstance(error, (CertificateError, ssl.SSLError)):
            return self._encrypting(error)
        if type(error) is OSError and error.errno is None and self.proxy:  # http.client's refusal
            said = shortened(str(error)).partition(": ")[2] or shortened(str(error))
            return f"{self.nearest} does not let requests through to {self.server}: {said}"
        return self._opening(error)

    def _opening(self, error: BaseException) -> str:
        nearest = self.proxy or self.url
        said = (error.strerror or "") if isinstance(error, OSError) else ""
        if isinstance(error, socket.gaierror):
            what = "the proxy's name" if self.proxy else "the name"
            return f"{what} {nearest.host} (port {_port(nearest)}) is not known here ({said})"
        number = error.errno if isinstance(error, OSError) else None
        if number == errno.ECONNREFUSED:
            return f"nothing listens there: {self.nearest} refuses the connection"
        if number in (errno.ENETUNREACH, errno.EHOSTUNREACH):
            return f"there is no route to {self.nearest} ({said})"
        return f"{self.nearest}: {said or shortened(str(error)) or type(error).__name__}"

    def _encrypting(self, error: Exception) -> str:
        if isinstance(error, (ssl.SSLCertVerificationError, CertificateError)):
            return f"the certificate of {self.server}{self.way} is not accepted: {_said(error)}"
        reason = (getattr(error, "reason", "") or shortened(str(error))).replace("_", " ").lower()
        return f"{self.server}{self.way} does not speak TLS as expected ({reason}): is it http://?"


def _said(error: Exception) -> str:
    """Why a certificate is not accepted; of one that is not of today the clock may be at fault."""
    if not isinstance(error, ssl.SSLCertVerificationError):
        return shortened(str(error))
    when = f"; this machine's clock says {clock()}" if error.verify_code in _OF_THEIR_TIME else ""
    return error.verify_message.rstrip(".") + when


def _port(url: Url) -> int:
    return url.port or (443 if url.scheme == "https" else 80)


def _place(url: Url | None) -> str:
    return f"{url.host} port {_port(url)}" if url else ""


# What sockets, TLS and urllib3 raise when a connection cannot be opened or used.
NETWORK_ERRORS = (OSError, HTTPError, CertificateError)
