"""What is kept for the next pass is believed only as it was kept, and is in nobody's way."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.records.extracted import run_over
from tests.support.records.rows import buyer_row
from utils.earlier.kept import Keeping
from utils.run.run import Run

ROWS = {"buyers": [buyer_row(first_id=n) for n in range(1, 9)]}


def keep(run: Run, settings: str = "these") -> Keeping:
    path = run.workspace.extracted("buyers")
    keeping = Keeping(run, "transform", "buyers", settings)
    keeping.keep({"rows": (path, run.manifest.sha_of(run.workspace.name_of(path)))}, {"a": 1})
    return keeping


def test_it_is_what_was_kept_and_takes_no_room(tmp_path: Path) -> None:
    with run_over(tmp_path, ROWS) as run:
        keeping = keep(run)
        found = keeping.proven()
        assert found is not None
        assert found.told == {"a": 1}
        assert keeping.path("rows").samefile(run.workspace.extracted("buyers"))


def test_nothing_is_believed_by_other_settings_or_another_zone(tmp_path: Path) -> None:
    with run_over(tmp_path, ROWS) as run:
        keep(run)
        assert Keeping(run, "transform", "buyers", "others").proven() is None
        source = replace(run.config.source, timezone="Asia/Tokyo")
        run.config = replace(run.config, source=source)
        assert Keeping(run, "transform", "buyers", "these").proven() is None


def test_nothing_is_believed_that_was_edited(tmp_path: Path) -> None:
    with run_over(tmp_path, ROWS) as run:
        keeping = keep(run)
        account = keeping.path("json")
        text = account.read_bytes()
        account.write_bytes(text.replace(b'"a":1', b'"a":2'))
        assert keeping.proven() is None
        account.write_bytes(text)
        assert keeping.proven() is not None
        with keeping.path("rows").open("r+b") as handle:  # also under its other name
            handle.write(b"[")
        assert keeping.proven() is None


class Room(NamedTuple):
    free: int


def test_on_a_disk_that_is_short_of_room_nothing_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with run_over(tmp_path, ROWS) as run:
        keep(run)
        size = run.workspace.extracted("buyers").stat().st_size
        monkeypatch.setattr(shutil, "disk_usage", lambda _: Room(2 * size - 1))
        assert keep(run).proven() is None
        assert not [*run.workspace.last_pass.iterdir()]


def test_where_there_are_no_links_nothing_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    with run_over(tmp_path, ROWS) as run:
        keep(run)
        monkeypatch.setattr(os, "link", no_links)
        assert keep(run).proven() is None
        assert not [*run.workspace.last_pass.iterdir()]
