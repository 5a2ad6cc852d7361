"""Who follows a log when S9 goes away: for how long it is waited for, and how a stop ends that."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from extract.change_log.change_log import Changes, Retained
from extract.following import follower
from extract.following.follower import Follower, Narrow
from utils.config import Config, SourceConfig
from utils.error_handler import ExitCode, SourceUnavailable
from utils.files.workspace import Workspace
from utils.interrupt import Interrupted
from utils.run.manifest import Manifest
from utils.run.run import Run

GONE = SourceUnavailable("S9 does not answer", remedy="see why")


class Log:
    """A log with a change each time; `begins_anew` only once."""

    begins_anew = "it is followed for the first time"
    position = 0

    def read(self, _seconds: float) -> Changes:
        self.position += 1
        return Changes(keys={"msg": {1}}, transactions=1, position=str(self.position))

    def confirm(self, position: str) -> None:
        assert position

    def let_forget(self) -> None:
        """Nothing is kept."""

    def retained(self) -> Retained:
        return Retained(0)

    def state(self) -> Mapping[str, str]:
        return {}


class Scene:
    """A follower whose passes do what is told, with a clock of its own."""

    def __init__(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.opens, self.is_there, self.passes = 0.0, 0, True, 0
        files = Workspace(tmp_path)
        files.prepare()
        config = Config(source=SourceConfig(host="s9", username="r"))
        self.run = Run(config, files, Manifest.new())
        self.run.manifest.snapshot = {"takenAt": "2026-01-01T00:00:00.000Z"}
        self.do: Callable[[], None] = lambda: None
        monkeypatch.setattr(follower, "open_log", self.opened)
        monkeypatch.setattr(follower, "followed_tables", lambda *_: [])
        monkeypatch.setattr(self.run.stop, "rest", self.rest)

    @contextmanager
    def opened(self, *_: Any) -> Iterator[Log]:
        self.opens += 1
        if not self.is_there:
            raise GONE
        yield Log()

    def rest(self, seconds: float) -> None:
        self.now += seconds

    def a_pass(self, _narrow: Narrow | None) -> ExitCode:
        self.passes += 1
        self.run.manifest.outcome = None
        self.do()
        self.run.manifest.outcome = ExitCode.DONE
        return ExitCode.DONE

    def follow(self) -> ExitCode:
        made = Follower(self.run, {}, self.a_pass, lambda: 0, clock=lambda: self.now)
        return made.follow()


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    return Scene(tmp_path, monkeypatch)


def test_an_s9_that_has_never_been_there_is_not_waited_for(scene: Scene) -> None:
    scene.is_there = False
    with pytest.raises(SourceUnavailable):
        scene.follow()
    assert scene.opens == 1


@pytest.mark.parametrize("passes", [1, 2], ids=["the first pass", "a later pass"])
def test_one_that_goes_away_at_the_end_of_a_long_pass_is_waited_for(
    scene: Scene, passes: int
) -> None:
    """For as long as after a short one."""
    went = 0.0

    def lasts_and_fails() -> None:
        nonlocal went
        if scene.passes == passes:
            scene.now += 5_000
            scene.is_there, went = False, scene.now
            raise GONE

    scene.do = lasts_and_fails
    with pytest.raises(SourceUnavailable):
        scene.follow()
    assert 590 < scene.now - went < 620


def test_one_that_comes_back_each_time_is_waited_for_each_time(scene: Scene) -> None:
    def fails_now_and_then() -> None:
        scene.now += 400
        if scene.passes >= 20:
            scene.run.stop.request()
        elif scene.passes % 2:
            raise GONE

    scene.do = fails_now_and_then
    assert scene.follow() == ExitCode.DONE
    assert scene.passes >= 20


def test_a_stop_while_it_is_waited_for(scene: Scene) -> None:
    """In the middle of a pass that is unfinished; and between two, where all is done."""

    def fails() -> None:
        scene.run.stop.request()
        raise GONE

    scene.do = fails
    with pytest.raises(Interrupted):
        scene.follow()
