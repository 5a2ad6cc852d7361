"""What pages are sent: what has changed since what they have, and never more than is shown."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import orjson
import pytest

from utils.dashboard.board import Board, Boards
from utils.dashboard.watched import Directories

ONE, OTHER = "abcdef", "fedcba"
Made = TypeVar("Made")


def to_its_end(doing: Coroutine[Any, Any, Made]) -> Made:
    """What comes of a coroutine, in a thread of its own: in this one there may be a browser's
    loop, which another test has started."""
    with ThreadPoolExecutor(1) as threads:
        return threads.submit(asyncio.run, doing).result()


def news_of(message: bytes) -> tuple[str, dict[str, Any]]:
    name, data, *_ = message.decode().split("\n")
    return name.removeprefix("id: "), orjson.loads(data.removeprefix("data: "))


def board() -> Board:
    made = Board(ONE)
    made.put({"a": "1", "b": "1"}, "begun")
    made.put({"a": "2", "b": "1"}, "begun")
    return made


def test_who_was_away_gets_what_has_changed_since() -> None:
    known = board()
    assert known.at == f"{ONE}-2"
    assert news_of(known.message(1)) == (f"{ONE}-2", {"words": "begun", "parts": {"a": [2, "2"]}})
    assert set(news_of(known.message(0))[1]["parts"]) == {"a", "b"}


@pytest.mark.parametrize(
    ("at", "number"),
    [
        *((None, 0), ("", 0), ("x", 0), (f"{ONE}-1", 1), (f"{ONE}-2", 2), (f"{ONE}-3", 0)),
        *((f"{OTHER}-2", 0), (f"{ONE}--1", 0), (f"{ONE}-1 ", 0), ("9" * 999, 0)),
    ],
)
def test_an_id_of_another_dashboard_is_none(at: str | None, number: int) -> None:
    assert board().number_of(at) == number


def test_what_is_the_same_is_not_sent_again() -> None:
    known = board()
    known.put({"a": "2", "b": "1"}, "begun")
    assert known.version == 2


def test_a_part_that_has_nothing_to_say_has_its_place() -> None:
    known = Board(ONE)
    known.put({"a": "", "b": ""}, "")
    assert list(known.parts) == ["a", "b"]
    known.put({"a": "", "b": "1"}, "")
    assert list(known.parts) == ["a", "b"]


def test_a_page_that_is_slow_gets_the_last_of_it_and_nothing_is_kept_for_it(
    tmp_path: Path,
) -> None:
    async def slow() -> None:
        boards = Boards(Directories(tmp_path), None, pytest.fail)
        known = Board(ONE)
        messages = boards.follow(known, None)
        assert (await anext(messages)).startswith(b"retry:")
        known.put({"a": "0"}, "")
        await anext(messages)
        for number in range(1, 1_000):
            known.put({"a": f"{number}"}, "")
        at, news = news_of(await anext(messages))
        assert (at, news["parts"]) == (f"{ONE}-1000", {"a": [1000, "999"]})
        assert len(known._messages) == 1
        assert boards.streams == 0  # it is another's board
        assert known.listeners == 1
        await messages.aclose()  # type: ignore[attr-defined]
        assert known.listeners == 0

    to_its_end(slow())


def test_at_the_end_every_page_is_told(tmp_path: Path) -> None:
    async def end() -> list[bytes]:
        boards = Boards(Directories(tmp_path), None, pytest.fail)
        known = await boards.fresh("")
        assert known is not None
        messages = boards.follow(known, known.at)
        assert (await anext(messages)).startswith(b"retry:")
        asyncio.get_running_loop().call_later(0.05, boards.close)
        return [each async for each in messages]

    assert to_its_end(end()) == [b"event: end\ndata:\n\n"]


def test_a_defect_is_told_once_and_the_pages_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken() -> list[str]:
        complaints: list[str] = []
        directories = Directories(tmp_path)
        boards = Boards(directories, None, complaints.append)
        known = await boards.fresh("")
        assert known is not None
        known.listeners = 1
        boards._wanted.set()
        monkeypatch.setattr("utils.dashboard.board._EVERY", 0.01)
        monkeypatch.setattr(directories, "look", lambda _: 1 // 0)
        watching = asyncio.create_task(boards.watch())
        await asyncio.sleep(0.2)
        monkeypatch.undo()
        assert not watching.done()
        watching.cancel()
        return complaints

    (complaint,) = to_its_end(broken())
    assert "ZeroDivisionError" in complaint
