"""What the pages show at this moment, each part with the number of its last change: one look at the
files for all pages, and for each page what has changed since what it has.

Nothing is queued for a page. One that is slow, or was away, gets each part as it is when it asks
again; so what is kept is what is shown, however many pages there are and however slow they are.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import orjson

from utils.config import Config
from utils.dashboard.sections import Kept, choices_of, gone, rendered, words_of
from utils.dashboard.watched import Directories, Seen, chosen
from utils.error_handler import traceback_of

_EVERY = 0.5  # seconds between two looks while anybody looks on
_KEEP_ALIVE = 15.0  # seconds without anything new after which that is said
MOST_STREAMS = 64
_AT = re.compile(r"([0-9a-f]{6})-([0-9]{1,12})")
_RETRY = 2_000  # milliseconds after which a page tries again


class Board:
    """The parts of one choice. `instance` tells the numbers of one dashboard from another's."""

    def __init__(self, instance: str) -> None:
        self.instance = instance
        self.version = 0
        self.words = ""
        self.parts: dict[str, tuple[int, str]] = {}
        self.looked = 0.0
        self.listeners = 0
        self.changed = asyncio.Event()
        self._messages: dict[int, bytes] = {}

    @property
    def at(self) -> str:
        """The name of what there is now."""
        return f"{self.instance}-{self.version}"

    def put(self, parts: Mapping[str, str], words: str) -> None:
        """This is what there is to be shown now; whoever waits is woken if it is new."""
        news = {name for name, html in parts.items() if self.parts.get(name, (0, None))[1] != html}
        if not news and words == self.words:
            return
        self.version += 1
        self.words = words
        self.parts |= {name: (self.version, html) for name, html in parts.items() if name in news}
        self._messages.clear()
        self.changed.set()
        self.changed = asyncio.Event()

    def number_of(self, at: str | None) -> int:
        """The number in the name of what a page has; 0 where it has nothing of this board."""
        found = _AT.fullmatch(at or "")
        if found is None or found[1] != self.instance or int(found[2]) > self.version:
            return 0
        return int(found[2])

    def since(self, number: int) -> dict[str, Any]:
        """What has changed since then."""
        news = {name: part for name, part in self.parts.items() if part[0] > number}
        return {"words": self.words, "parts": news}

    def message(self, number: int) -> bytes:
        """The same as a message of an event stream; made once for all who are as far."""
        if number not in self._messages:
            data = orjson.dumps(self.since(number))
            self._messages[number] = b"id: %b\ndata: %b\n\n" % (self.at.encode(), data)
        return self._messages[number]


class Boards:
    """The boards of all choices, and who looks at the files for them."""

    def __init__(
        self, directories: Directories, config: Config | None, complain: Callable[[str], None]
    ) -> None:
        """`complain` gets what is a defect, for whoever runs the dashboard."""
        self.directories = directories
        self.config = config
        self.seen: dict[str, Seen] = {}
        self._complain = complain
        self._instance = secrets.token_hex(3)
        self._boards: dict[str, Board] = {}
        self._kept: dict[str, Kept] = {}
        self._looking = asyncio.Lock()
        self._wanted = asyncio.Event()
        self._is_closed = False

    @property
    def streams(self) -> int:
        """How many pages listen."""
        return sum(each.listeners for each in self._boards.values())

    async def fresh(self, choice: str) -> Board | None:
        """The board of a choice as things are now; None where there is no such."""
        async with self._looking:
            board = self._boards.get(choice)
            if board is None or time.monotonic() - board.looked > _EVERY:
                await self._look(choice)
        return self._boards.get(choice)

    async def follow(self, board: Board, at: str | None) -> AsyncIterator[bytes]:
        """The messages for a page that has `at`, until it goes or the dashboard ends."""
        number = board.number_of(at)
        yield b"retry: %d\n\n" % _RETRY
        with self._listening(board):
            while not self._is_closed:
                changed = board.changed
                if board.version > number:
                    message, number = board.message(number), board.version
                    yield message
                    continue
                try:
                    await asyncio.wait_for(changed.wait(), _KEEP_ALIVE)
                except asyncio.TimeoutError:
                    yield b": still here\n\n"
            yield b"event: end\ndata:\n\n"

    async def watch(self) -> None:
        """Look at the files for as long as anybody listens, until the end."""
        told = ""
        while True:
            await self._wanted.wait()
            try:
                async with self._looking:
                    await self._look()
            except Exception as error:  # the pages go on; it is told where somebody can mend it
                told = self._complains_of(error, told)
            await asyncio.sleep(_EVERY)

    def _complains_of(self, error: Exception, told: str) -> str:
        """Tell of a defect, unless it was told before: it may come with every look."""
        text = traceback_of(error)
        if text != told:
            self._complain(text)
        return text

    def close(self) -> None:
        """The dashboard ends: tell the pages."""
        self._is_closed = True
        for board in self._boards.values():
            board.changed.set()

    @contextmanager
    def _listening(self, board: Board) -> Iterator[None]:
        board.listeners += 1
        self._wanted.set()
        try:
            yield
        finally:
            board.listeners -= 1
            if not self.streams:
                self._wanted.clear()

    async def _look(self, choice: str | None = None) -> None:
        """Look at the files, for those who listen and for a choice: one at a time."""
        wanted = {name for name, board in self._boards.items() if board.listeners}
        if choice is not None:
            wanted.add(choice)
        self.seen, made = await asyncio.to_thread(self._made, sorted(wanted))
        for name, (parts, words) in made.items():
            if name not in self._boards:
                self._boards[name] = Board(self._instance)
            self._boards[name].put(parts, words)
            self._boards[name].looked = time.monotonic()

    def _made(
        self, wanted: list[str]
    ) -> tuple[dict[str, Seen], dict[str, tuple[dict[str, str], str]]]:
        seen = self.directories.look(time.time())
        made = {}
        for name in wanted:
            one = chosen(seen, name)
            if one is not None:
                kept = self._kept.setdefault(one.name, Kept())
                made[name] = rendered(one, kept, self.config), words_of(one)
            elif name in self._boards:
                made[name] = gone(), "It is no more"
            if name in made:
                made[name][0]["choices"] = choices_of(seen, name, one, self.directories.root)
        return seen, made
