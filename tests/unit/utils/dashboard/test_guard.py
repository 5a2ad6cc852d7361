"""Who is let in, and what is refused: asked over the wire, as a browser or something else asks."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.support.operators.dashboards import Dashboard, dashboard_in

_ELSEWHERE = "http://evil.example"


@pytest.fixture(scope="module")
def dashboard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    with dashboard_in(tmp_path_factory.mktemp("dashboard") / "data") as begun:
        yield begun


@pytest.fixture(scope="module")
def cookie(dashboard: Dashboard) -> str:
    return dashboard.cookie()


def test_the_token_becomes_a_cookie_and_leaves_the_address(dashboard: Dashboard) -> None:
    answer = dashboard.ask(f"/?token={dashboard.token}")
    assert (answer.status, answer.headers["location"]) == (303, "/")
    _, *attributes = answer.headers["set-cookie"].lower().split("; ")
    assert sorted(attributes) == ["httponly", "path=/", "samesite=strict"]
    assert dashboard.ask("/", Cookie=answer.headers["set-cookie"].partition(";")[0]).status == 200


@pytest.mark.parametrize("path", ["/", "/events", "/parts", "/quarantine/sales", "/nothing"])
def test_without_the_token_there_is_nothing(dashboard: Dashboard, path: str) -> None:
    for cookie in (None, "dashboard=x", "dashboard-00000000=", f"token={dashboard.token}"):
        answer = dashboard.ask(path, Cookie=cookie)
        assert answer.status == 403
        assert "the address that the terminal shows" in answer.body


@pytest.mark.parametrize("token", ["", "x", "%00", "%F0%9F%98%80", "a" * 5000])
def test_another_token_is_none(dashboard: Dashboard, token: str) -> None:
    answer = dashboard.ask(f"/?token={token}")
    assert answer.status == 403
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:9000", "LOCALHOST:1", "[::1]:8080"])
def test_a_tunnel_may_have_another_port(dashboard: Dashboard, cookie: str, host: str) -> None:
    assert dashboard.ask("/", Host=host, Cookie=cookie).status == 200
    assert dashboard.ask("/", Host=host, Cookie=cookie, Origin=f"http://{host}").status == 200


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "evil.example:80", "127.0.0.1.evil.example", "localhost.evil.example"),
        *("127.0.0.1:80:80", "127.0.0.1@evil.example", "2130706433", "0.0.0.0", "", "127.0.0.2"),
    ],
)
def test_another_name_is_not_ours(dashboard: Dashboard, cookie: str, host: str) -> None:
    """DNS rebinding: a page elsewhere whose name leads here."""
    assert dashboard.ask("/", Host=host, Cookie=cookie).status == 421
    assert dashboard.ask(f"/?token={dashboard.token}", Host=host).status == 421


def test_without_a_name_or_with_two_nothing_is_answered(dashboard: Dashboard, cookie: str) -> None:
    head = f"GET / HTTP/1.1\r\nCookie: {cookie}\r\n"
    for hosts in ("", "Host: 127.0.0.1\r\nHost: evil.example\r\n"):
        assert _said(dashboard, f"{head}{hosts}\r\n").startswith("HTTP/1.1 400")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("Origin", each) for each in (_ELSEWHERE, "null", "http://127.0.0.1:1", "file://")),
        *(("Sec_Fetch_Site", each) for each in ("cross-site", "same-site", "")),
    ],
)
def test_what_another_page_has_sent_is_refused(
    dashboard: Dashboard, cookie: str, name: str, value: str
) -> None:
    form = "entity=sales&key=1"
    for path, method, body in (("/", "GET", None), ("/explain", "POST", form)):
        asked = {name: value, "Cookie": cookie}
        assert dashboard.ask(path, method, body, **asked).status == 403


def test_a_form_must_say_where_it_comes_from(dashboard: Dashboard, cookie: str) -> None:
    form = "entity=sales&key=1"
    assert dashboard.ask("/explain", "POST", form, Cookie=cookie).status == 403
    known = {"Cookie": cookie, "Origin": dashboard.origin}
    assert dashboard.ask("/explain", "POST", form, **known).status == 200


@pytest.mark.parametrize(
    "method", ["HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "WHAT"]
)
def test_nothing_but_looking_is_allowed(dashboard: Dashboard, cookie: str, method: str) -> None:
    known = {"Cookie": cookie, "Origin": dashboard.origin}
    for path in ("/", "/quarantine/sales", "/look/look.css"):
        assert dashboard.ask(path, method, **known).status == 405
    if method != "POST":
        assert dashboard.ask("/explain", method, **known).status == 405


@pytest.mark.parametrize(
    "path",
    [
        *("/look/../rendering.py", "/look/..%2f..%2frendering.py", "/look/%2e%2e/templates/x"),
        *("//etc/passwd", "/quarantine/../manifest.json", "/quarantine/..%2Fmanifest"),
        *("/quarantine/payments", "/manifest.json", "/look/", "/look/base.html", "/?of=../../etc"),
        *("/?of=dry-run", "/events?of=x", "/quarantine/sales?of=/etc"),
    ],
)
def test_nothing_else_is_found(dashboard: Dashboard, cookie: str, path: str) -> None:
    answer = dashboard.ask(path, Cookie=cookie)
    assert answer.status == 404
    assert "root:" not in answer.body


@pytest.mark.parametrize("at", ["-1", "x", "1e9", "9" * 40, "%F0%9F%98%80", "١"])
def test_a_page_begins_at_a_number(dashboard: Dashboard, cookie: str, at: str) -> None:
    path = f"/quarantine/sales?at={quote(at, safe='%')}"
    assert dashboard.ask(path, Cookie=cookie).status == 400


def test_every_answer_says_how_it_may_be_used(dashboard: Dashboard, cookie: str) -> None:
    for path, known in (("/", cookie), ("/", None), ("/parts", cookie), ("/look/look.css", None)):
        headers = dashboard.ask(path, Cookie=known).headers
        policy = dict(
            each.strip().split(" ", 1) for each in headers["content-security-policy"].split(";")
        )
        assert policy["default-src"] == "'none'"
        assert policy["frame-ancestors"] == "'none'"
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["cache-control"] == "no-store"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
        assert "server" not in headers
        assert "access-control-allow-origin" not in headers


def test_what_is_too_large_is_refused(dashboard: Dashboard, cookie: str) -> None:
    known = {"Cookie": cookie, "Origin": dashboard.origin}
    long = f"entity=sales&key={'1' * 5_000}"
    assert dashboard.ask("/explain", "POST", long, **known).status == 413
    huge = "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + "x" * 200_000
    assert _said(dashboard, huge).startswith("HTTP/1.1 400")
    many = "&".join(f"a{number}=1" for number in range(50))
    assert dashboard.ask("/explain", "POST", many, **known).status == 400
    assert dashboard.ask(f"/?token=x&{many}", Cookie=cookie).status == 400


def test_clients_that_are_slow_keep_nobody_waiting(dashboard: Dashboard, cookie: str) -> None:
    with ExitStack() as stack:
        for _ in range(60):
            slow = stack.enter_context(socket.create_connection(("127.0.0.1", dashboard.port)))
            slow.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n")
        for _ in range(10):
            slow = stack.enter_context(socket.create_connection(("127.0.0.1", dashboard.port)))
            head = f"GET /events HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {cookie}\r\n\r\n"
            slow.sendall(head.encode())  # and never reads
        began = time.monotonic()
        assert dashboard.ask("/", Cookie=cookie).status == 200
        assert time.monotonic() - began < 2


def test_no_other_address_answers(dashboard: Dashboard) -> None:
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.2", dashboard.port), timeout=2).close()


def _said(dashboard: Dashboard, request: str) -> str:
    with socket.create_connection(("127.0.0.1", dashboard.port), timeout=10) as connection:
        connection.sendall(request.encode())
        return connection.recv(1000).decode()


def test_what_an_operator_is_told(tmp_path: Path, dashboard: Dashboard) -> None:
    assert f"ssh -N -L {dashboard.port}:127.0.0.1:{dashboard.port} " in dashboard.printed
    taken = dashboard_in(tmp_path / "data", "--port", str(dashboard.port))
    with pytest.raises(AssertionError, match=r"port \d+ of 127.0.0.1 is in use"), taken:
        pass
    (tmp_path / "file").touch()
    with (
        pytest.raises(AssertionError, match="file is no directory"),
        dashboard_in(tmp_path / "file"),
    ):
        pass


def test_the_browser_is_opened_with_a_token_that_is_good_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser, typed = tmp_path / "browser", tmp_path / "typed"
    browser.write_text(f'#!/bin/sh\necho "$1" > {typed}.part && mv {typed}.part {typed}\n')
    browser.chmod(0o700)
    monkeypatch.setenv("BROWSER", f"{browser} %s")
    with dashboard_in(tmp_path / "data", "--open") as opened:
        opened.running.wait_for(typed.exists)
        ticket = typed.read_text().strip().rpartition("=")[2]
        assert ticket != opened.token
        answers = [opened.ask(f"/?token={ticket}").status for _ in range(2)]
        assert answers == [303, 403]
        assert opened.ask(f"/?token={opened.token}").status == 303


def test_without_a_browser_the_address_is_to_be_opened_by_hand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BROWSER", "false %s")
    monkeypatch.setenv("PATH", "/usr/bin/none")
    monkeypatch.delenv("DISPLAY", raising=False)
    with dashboard_in(tmp_path / "data", "--open") as opened:
        time.sleep(0.5)
        opened.running.interrupt()
        ended = opened.running.end(10)
    assert (ended.code, ended.closing) == (0, "dashboard-ended")
    assert ended.stderr == "There is no browser here: open the address above in one.\n"


def test_who_still_waits_for_something_keeps_no_dashboard_from_its_end(tmp_path: Path) -> None:
    with dashboard_in(tmp_path / "data") as opened:
        head = (
            f"POST /explain HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {opened.cookie()}\r\n"
            "Origin: http://127.0.0.1\r\nContent-Length: 100\r\n\r\nentity=sales"
        )
        with socket.create_connection(("127.0.0.1", opened.port)) as slow:
            slow.sendall(head.encode())
            time.sleep(0.3)
            opened.running.interrupt()
            ended = opened.running.end(10)
    assert (ended.code, ended.closing, ended.stderr) == (0, "dashboard-ended", "")
