"""Who may see the dashboard: whoever has its token, by a browser on this machine, asked by the
dashboard's own pages.

The address that is printed has the token, and becomes a cookie at once, so that it stays in no
address bar and no history. The name in Host must be this machine's own (a page elsewhere whose name
was turned to 127.0.0.1 has another: DNS rebinding); its port may be any, since an ssh tunnel may
have its own. What another page has sent is refused, and so is every method that nothing here needs.
"""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Mapping
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from utils.pages.parts import BAD, Verdict
from utils.pages.rendering import render

TOKEN = "token"
_MOST_FIELDS = 10
_ASKS = "/explain"
_LOOK = "/look/"
_HOST = re.compile(r"(?:127\.0\.0\.1|localhost|\[::1\])(?::[0-9]{1,5})?", re.I)
_OURSELVES = ("same-origin", "none")
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # without any, a form's origin would be "null"
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Guard:
    """Lets a request through to the application, or refuses it."""

    def __init__(self, application: ASGIApp) -> None:
        self._application = application
        self.token = secrets.token_urlsafe(32)
        # Cookies know no ports: two dashboards must not take each other's.
        self._cookie = f"dashboard-{secrets.token_hex(4)}"
        self._tickets: set[str] = set()

    def ticket(self) -> str:
        """A token that is good for one time: whoever sees the command line of the browser that is
        opened with it has nothing."""
        ticket = secrets.token_urlsafe(32)
        self._tickets.add(ticket)
        return ticket

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._application(scope, receive, send)
        if scope["type"] != "http":
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        answer = self._answer(scope) or self._application
        await answer(scope, receive, send_with_headers)

    def _answer(self, scope: Scope) -> Response | None:
        """What is answered here; None for what the application may answer."""
        headers, path = Headers(scope=scope), scope["path"]
        refused = _refused(headers, path, scope["method"])
        if refused is not None:
            return refused
        if path == "/" and scope["query_string"]:
            given = fields_of(scope["query_string"].decode("latin-1"))
            if given is None:
                return refusal(400, "Not understood", "This address is none of the dashboard's.")
            if TOKEN in given:
                return self._let_in(given[TOKEN])
        is_let_in = path.startswith(_LOOK) or self._has_cookie(headers)
        return None if is_let_in else _not_let_in()

    def _let_in(self, given: str) -> Response:
        """The token becomes a cookie, and leaves the address."""
        is_known = _equal(given, self.token)
        for ticket in list(self._tickets):
            if _equal(given, ticket):
                self._tickets.discard(ticket)
                is_known = True
        if not is_known:
            return _not_let_in()
        answer = RedirectResponse("/", 303)
        answer.set_cookie(self._cookie, self.token, httponly=True, samesite="strict", path="/")
        return answer

    def _has_cookie(self, headers: Headers) -> bool:
        wanted = f"{self._cookie}="
        given = (each.strip() for line in headers.getlist("cookie") for each in line.split(";"))
        values = [each[len(wanted) :] for each in given if each.startswith(wanted)]
        return any(_equal(each, self.token) for each in values)


def _refused(headers: Headers, path: str, method: str) -> Response | None:
    """What nobody may ask, whatever he has; None for the rest."""
    hosts = headers.getlist("host")
    if len(hosts) != 1 or not _HOST.fullmatch(hosts[0]):
        words = "This is the dashboard of a migration: it answers to 127.0.0.1 and localhost."
        return refusal(421, "Not asked by its name", words)
    allowed = "POST" if path == _ASKS else "GET"
    if method != allowed:
        words = "The dashboard only shows; nothing can be changed by it."
        return refusal(405, "Nothing to be done here", words, {"Allow": allowed})
    if not _is_our_own(headers, hosts[0], method):
        words = "It was asked by another page. Type or paste the address that the terminal shows."
        return refusal(403, "Asked by another page", words)
    return None


def _is_our_own(headers: Headers, host: str, method: str) -> bool:
    """Whether a request comes from a page of ours, or from somebody who typed the address."""
    origins = headers.getlist("origin")
    if any(each.lower() != f"http://{host.lower()}" for each in origins):
        return False
    if method == "POST" and not origins:
        return False
    return all(each.lower() in _OURSELVES for each in headers.getlist("sec-fetch-site"))


def fields_of(text: str) -> dict[str, str] | None:
    """The fields of a form or an address, each as it was given first; None for what has more than
    anything of ours."""
    try:
        given = parse_qs(text, keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError:
        return None
    return {name: values[0] for name, values in given.items()}


def _equal(given: str, wanted: str) -> bool:
    """In a time that tells nothing of where they differ."""
    return hmac.compare_digest(given.encode("utf-8", "replace"), wanted.encode())


def _not_let_in() -> Response:
    words = (
        "Open the address that the terminal shows, with its token: every start of the dashboard "
        "has its own."
    )
    return refusal(403, "Not let in", words)


def refusal(
    code: int, title: str, words: str, headers: Mapping[str, str] | None = None
) -> Response:
    """A page that says why there is nothing to be seen."""
    page = render(
        "dashboard_page.html",
        title=title,
        back="",
        verdict=Verdict(BAD, "Refused", words),
        entities=(),
        records=(),
        sections=(),
        turns=(),
    )
    return HTMLResponse(page, code, headers)
