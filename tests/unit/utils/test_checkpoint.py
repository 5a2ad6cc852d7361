"""The checkpoint: whole or refused, never half believed, and never a large share of the time."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from utils.checkpoint import VERSION, Checkpoint, CheckpointFile, Tracker
from utils.config import CheckpointConfig, Config, TransformationConfig
from utils.error_handler import ArtifactError
from utils.files.workspace import Workspace
from utils.interrupt import Interrupted, StopFlag
from utils.run.manifest import Manifest
from utils.run.run import Run, configuration_digests

SAVED = Checkpoint(
    run_id="7f3a0000",
    phase="load",
    entity="sales",
    configuration={"source": "a"},
    inputs={"transformed/sales.json": "b"},
    done=61_250,
    total=92_118,
    unit="items",
    at="2026-01-30T15:30:15Z",
    state={"offset": 12, "città": "è"},
)


@pytest.fixture
def file(tmp_path: Path) -> CheckpointFile:
    return CheckpointFile(tmp_path / ".checkpoint.json")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / ".checkpoint.json"


def test_what_is_saved_is_what_is_loaded(file: CheckpointFile) -> None:
    assert file.load() is None
    file.save(SAVED)
    assert file.load() == SAVED
    file.clear()
    assert file.load() is None


def test_cut_at_any_byte_it_is_refused_with_a_remedy(file: CheckpointFile, path: Path) -> None:
    file.save(SAVED)
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(ArtifactError) as caught:
            file.load()
        assert "delete" in caught.value.remedy
        assert "--resume" in caught.value.remedy


def test_with_any_byte_changed_it_is_refused(file: CheckpointFile, path: Path) -> None:
    file.save(SAVED)
    whole = path.read_bytes()
    for position in range(len(whole)):
        changed = bytearray(whole)
        changed[position] ^= 0x01
        path.write_bytes(bytes(changed))
        with pytest.raises(ArtifactError):
            file.load()


@pytest.mark.parametrize("version", [VERSION - 1, VERSION + 1])
def test_one_of_another_version_than_the_tools_is_refused(
    file: CheckpointFile, path: Path, version: int
) -> None:
    file.save(replace(SAVED, version=version))
    with pytest.raises(ArtifactError, match=f"has version {version}, this tool understands"):
        file.load()
    body = orjson.dumps({"version": version, "something": "else"})
    digest = hashlib.sha256(body).hexdigest().encode()
    path.write_bytes(b'{"sha256":"%b","checkpoint":%b}' % (digest, body))
    with pytest.raises(ArtifactError, match=f"has version {version}"):
        file.load()


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class SlowFile:
    """Takes `cost` seconds of the clock to save."""

    def __init__(self, clock: Clock, cost: float) -> None:
        self._clock = clock
        self._cost = cost
        self.saved: list[int] = []

    def save(self, checkpoint: Checkpoint) -> None:
        self._clock.now += self._cost
        self.saved.append(checkpoint.done)


def tracker(
    file: SlowFile, clock: Clock, interval: int = 100, stop: StopFlag | None = None
) -> Tracker:
    def place(done: int, state: Mapping[str, Any]) -> Checkpoint:
        return replace(SAVED, done=done, state=state)

    settings = CheckpointConfig(interval=interval)
    return Tracker(file, settings, stop or StopFlag(), place, clock=clock)  # type: ignore[arg-type]


def test_a_cheap_checkpoint_is_made_every_interval() -> None:
    clock = Clock()
    file = SlowFile(clock, 0.0)
    keeper = tracker(file, clock)
    for done in range(10, 501, 10):
        clock.now += 0.001
        keeper.reached(done, dict)
    assert file.saved == [100, 200, 300, 400, 500]


def test_dear_checkpoints_take_at_most_a_twentieth_of_the_time() -> None:
    clock = Clock()
    file = SlowFile(clock, 0.5)
    keeper = tracker(file, clock, interval=1)
    start = clock.now
    for done in range(1, 100_000):
        clock.now += 0.001
        keeper.reached(done, dict)
    spent = 0.5 * len(file.saved)
    assert len(file.saved) > 5
    assert spent / (clock.now - start) <= 0.05


def test_a_stop_saves_the_place_first_whatever_the_interval() -> None:
    clock, stop = Clock(), StopFlag()
    file = SlowFile(clock, 0.0)
    keeper = tracker(file, clock, interval=1000, stop=stop)
    keeper.reached(7, dict)
    stop.request()
    with pytest.raises(Interrupted):
        keeper.reached(8, dict)
    assert file.saved == [8]


def resumed(tmp_path: Path, config: Config) -> Run:
    files = Workspace(tmp_path)
    files.prepare()
    return Run(config, files, Manifest(run_id="7f3a0000", created_at=""), resuming=True)


def test_one_of_another_configuration_is_refused_and_says_what_changed(tmp_path: Path) -> None:
    config = Config()
    run = resumed(tmp_path, config)
    run.checkpoint.save(replace(SAVED, configuration=configuration_digests(config)))
    run.check_checkpoint()
    run.config = replace(config, transformation=TransformationConfig(default_currency="CHF"))
    with pytest.raises(ArtifactError, match="transformation changed") as caught:
        run.check_checkpoint()
    assert "--full --restart" in caught.value.remedy


def test_one_of_another_run_is_refused(tmp_path: Path) -> None:
    config = Config()
    run = resumed(tmp_path, config)
    saved = replace(SAVED, configuration=configuration_digests(config), run_id="00000000")
    run.checkpoint.save(saved)
    with pytest.raises(ArtifactError, match="another run"):
        run.check_checkpoint()


def test_one_of_a_place_further_on_outlives_what_is_repeated_before_it(tmp_path: Path) -> None:
    run = resumed(tmp_path, Config())
    run.checkpoint.save(SAVED)
    assert run.begin("validate", "buyers", {}) is None
    keeper = run.track("validate", "buyers", {}, total=1, unit="records")
    keeper.reached(1_000_000, dict)
    run.leave("validate", "buyers")
    assert run.checkpoint.load() == SAVED
    assert run.begin("load", "sales", SAVED.inputs) == SAVED


def test_one_that_was_made_for_other_files_is_not_used(tmp_path: Path) -> None:
    run = resumed(tmp_path, Config())
    run.checkpoint.save(SAVED)
    assert run.begin("load", "sales", {"transformed/sales.json": "written again"}) is None
    assert run.checkpoint.load() is None
