"""The dashboard's pages and its stream of events: what is asked for, and what is answered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

import orjson
from markupsafe import Markup
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, Response, StreamingResponse
from starlette.routing import Route

from utils.config import Config
from utils.dashboard.board import MOST_STREAMS, Board, Boards
from utils.dashboard.guard import fields_of, refusal
from utils.dashboard.quarantine_file import Turned, turned_to
from utils.dashboard.records import (
    ShownRecord,
    explained,
    masked_as_in,
    quarantined,
    unexplained,
)
from utils.dashboard.sections import PARTS
from utils.dashboard.watched import LATEST, Seen, chosen
from utils.entities import ENTITY_NAMES
from utils.error_handler import MigrationError
from utils.files.workspace import Workspace
from utils.pages.parts import CALM, CARE, Verdict
from utils.pages.rendering import look, render
from utils.wording.figures import counted
from utils.wording.invocation import command

ByFiles = Callable[[Config, str, str], dict[str, Any]]
Settings = Callable[[], Config]

_LONGEST_FORM = 4 << 10  # bytes
_PATIENCE = 10.0  # seconds for a form to come
_LOOKS = {
    "look.css": "text/css",
    "dashboard.css": "text/css",
    "dashboard.js": "text/javascript",
}


class Pages:
    """Answers for the data directories of `boards`. `settings` gives the configuration, or raises
    MigrationError; `by_files` explains a record by the files alone."""

    def __init__(self, boards: Boards, settings: Settings, by_files: ByFiles) -> None:
        self._boards = boards
        self._settings = settings
        self._by_files = by_files
        self._explaining = asyncio.Lock()

    def application(self) -> Starlette:
        """All of it, as a web server runs it."""
        routes = [
            Route("/", self._run, methods=["GET"]),
            Route("/events", self._events, methods=["GET"]),
            Route("/parts", self._parts, methods=["GET"]),
            Route("/quarantine/{entity}", self._quarantine, methods=["GET"]),
            Route("/explain", self._explain, methods=["POST"]),
            Route("/look/{name}", self._look, methods=["GET"]),
        ]
        return Starlette(
            routes=routes,
            exception_handlers={HTTPException: _refused, 500: _failed},
            lifespan=self._lifespan,
        )

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        watching = asyncio.create_task(self._boards.watch())
        try:
            yield
        finally:
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching

    # -- the run ------------------------------------------------------------------------------

    async def _run(self, request: Request) -> Response:
        choice, board = await self._board(request)
        page = render(
            "dashboard.html",
            choice=choice,
            names=PARTS,
            words=board.words,
            at=board.at,
            parts={name: Markup(html) for name, (_, html) in board.parts.items()},
            entities=ENTITY_NAMES,
            entity=ENTITY_NAMES[-1],
            key="",
        )
        return HTMLResponse(page)

    async def _events(self, request: Request) -> Response:
        if self._boards.streams >= MOST_STREAMS:
            raise HTTPException(503, "So many pages are open that no more can be shown.")
        _, board = await self._board(request)
        at = request.headers.get("last-event-id") or request.query_params.get("at")
        return StreamingResponse(
            self._boards.follow(board, at), media_type="text/event-stream; charset=utf-8"
        )

    async def _parts(self, request: Request) -> Response:
        _, board = await self._board(request)
        news = board.since(board.number_of(request.query_params.get("at")))
        return Response(orjson.dumps({"id": board.at, "news": news}), media_type="application/json")

    async def _board(self, request: Request) -> tuple[str, Board]:
        choice = request.query_params.get("of", LATEST)
        board = await self._boards.fresh(choice)
        if board is None:
            raise HTTPException(404, "There is no such data directory, or not any more.")
        return choice, board

    async def _seen(self, choice: str) -> Seen:
        """How the directory of a choice stands."""
        await self._boards.fresh(LATEST)
        seen = chosen(self._boards.seen, choice)
        if seen is None:
            raise HTTPException(404, "There is no such data directory, or not any more.")
        return seen

    # -- records ------------------------------------------------------------------------------

    async def _quarantine(self, request: Request) -> Response:
        entity = request.path_params["entity"]
        if entity not in ENTITY_NAMES:
            raise HTTPException(404, "There is no such quarantine.")
        place = request.query_params.get("at", "0")
        if not (place.isascii() and place.isdecimal() and len(place) < 16):
            raise HTTPException(400, "A page of the quarantine begins at a number of bytes.")
        seen = await self._seen(request.query_params.get("of", LATEST))
        return await asyncio.to_thread(self._page_of, seen, entity, int(place))

    def _page_of(self, seen: Seen, entity: str, place: int) -> Response:
        verdict: Verdict | None = None
        page, records = Turned(), list[ShownRecord]()
        try:
            page = turned_to(seen.files.quarantine(entity), place)
            with masked_as_in(seen.files, personal=self._masks()):
                records = quarantined(seen.files, entity, page)
                verdict = _about(page, entity)
                return _page(
                    f"Quarantine: {entity}",
                    _home(seen.name),
                    verdict,
                    records=records,
                    choice=seen.name,
                    turns=_turns(page, entity, seen.name),
                )
        except MigrationError as error:
            return _page(f"Quarantine: {entity}", _home(seen.name), unexplained(error))

    def _masks(self) -> bool:
        """Whether personal data are masked: unless the configuration is known, and says no."""
        config = self._boards.config
        return config is None or config.logging.mask_personal_data

    async def _explain(self, request: Request) -> Response:
        form = fields_of(await _body(request)) or {}
        entity, key = form.get("entity", ""), form.get("key", "")
        choice = form.get("of", LATEST)
        if entity not in ENTITY_NAMES or not key.strip():
            raise HTTPException(400, "Name a kind of record, and its key.")
        seen = await self._seen(choice)
        async with self._explaining:  # one after the other: it may go through whole files
            return await asyncio.to_thread(self._explanation, seen, choice, entity, key)

    def _explanation(self, seen: Seen, choice: str, entity: str, key: str) -> Response:
        with masked_as_in(seen.files, personal=self._masks()):
            try:
                config = _for(seen.files, self._settings())
                verdict, sections = explained(self._by_files(config, entity, key))
            except MigrationError as error:
                verdict, sections = unexplained(error), []
            except (LookupError, TypeError, ValueError, AttributeError):
                words = "the files say what no version of the tool writes: nothing can be told"
                remedy = command("check")
                verdict, sections = unexplained(MigrationError(words, remedy=remedy)), []
            return _page(
                "What became of one record",
                _home(choice),
                verdict,
                sections=sections,
                choice=choice,
                entities=ENTITY_NAMES,
                entity=entity,
                key=key,
            )

    async def _look(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in _LOOKS:
            raise HTTPException(404, "There is no such file.")
        return Response(look(name), media_type=_LOOKS[name])


def _for(files: Workspace, config: Config) -> Config:
    return replace(config, data=replace(config.data, directory=str(files.root)))


def _about(page: Turned, entity: str) -> Verdict | None:
    """What is to be said before the records of a page."""
    if page.is_encrypted:
        words = "The quarantine is encrypted: it is not opened for a browser."
        next_ = command("retry-quarantine")
        return Verdict(CARE, "Encrypted", words, [f"{next_} opens it by the identity."])
    if not page.entries and not page.unreadable:
        return Verdict(CALM, "Nothing here", f"No {entity} are in quarantine here.")
    if page.unreadable:
        lines = counted(page.unreadable, "line")
        return Verdict(CARE, "Damaged", f"{lines} of this page cannot be read, and are left out.")
    return None


def _turns(page: Turned, entity: str, choice: str) -> list[tuple[str, str]]:
    """Links to the pages around: the words, the address."""
    places = [("First page", 0 if page.before is not None else None)]
    places += [("Page before", page.before), ("Next page", page.after)]
    return [
        (words, f"/quarantine/{entity}?{urlencode({'of': choice, 'at': at})}")
        for words, at in places
        if at is not None
    ]


def _home(choice: str) -> str:
    return f"/?{urlencode({'of': choice})}" if choice else "/"


def _page(title: str, back: str, verdict: Verdict | None, **more: Any) -> Response:
    values: dict[str, Any] = {"entities": (), "records": (), "sections": (), "turns": ()}
    page = render("dashboard_page.html", title=title, back=back, verdict=verdict, **values | more)
    return HTMLResponse(page)


async def _body(request: Request) -> str:
    """The body of a form. Raises HTTPException for one that is too long, or does not come."""
    data = b""

    async def read() -> None:
        nonlocal data
        async for part in request.stream():
            data += part
            if len(data) > _LONGEST_FORM:
                raise HTTPException(413, "So long is no key.")

    try:
        await asyncio.wait_for(read(), _PATIENCE)
    except asyncio.TimeoutError as error:
        raise HTTPException(408, "The rest of what was asked did not come.") from error
    except ClientDisconnect as error:
        raise HTTPException(400, "Nobody waits any more.") from error
    return data.decode("utf-8", "replace")


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    words = error.detail if error.status_code not in (404, 405) or error.detail else ""
    if words in ("Not Found", "Method Not Allowed"):
        words = "There is no such page."
    return refusal(error.status_code, "Nothing to be seen here", words, error.headers)


async def _failed(_: Request, __: Exception) -> Response:
    words = "A defect of the tool: the terminal of the dashboard says more."
    return refusal(500, "This cannot be shown", words)
