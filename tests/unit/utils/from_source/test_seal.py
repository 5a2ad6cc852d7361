"""Only under its seal is what was read of S9 taken up again."""

from __future__ import annotations

from pathlib import Path

import pytest

from utils.config import Config
from utils.files.artifacts import ArtifactEntry
from utils.files.workspace import Workspace
from utils.from_source.seal import SealedRun, SealingKey, sealing_of
from utils.run.manifest import Manifest


@pytest.fixture
def run(tmp_path: Path) -> SealedRun:
    """A run sealed by a password, and saved."""
    files = Workspace(tmp_path)
    files.prepare()
    made = SealedRun(Config(), files, Manifest.new())
    made.sealing = SealingKey.of("sesame")
    made.manifest.artifacts["transformed/sales.json"] = ArtifactEntry(1, 2, 3, "abc", "now")
    made.save()
    return made


def saved(run: SealedRun) -> Manifest:
    manifest = Manifest.load(run.workspace.manifest)
    assert manifest is not None
    return manifest


def test_a_manifest_is_under_the_seal_of_its_password_alone(run: SealedRun) -> None:
    found = sealing_of(saved(run), "sesame")
    assert found is not None and found.salt == run.sealing.salt
    assert sealing_of(saved(run), "another") is None
    assert sealing_of(saved(run), "") is None
    assert b"sesame" not in run.workspace.manifest.read_bytes()


def test_what_is_altered_is_under_no_seal(run: SealedRun) -> None:
    text = run.workspace.manifest.read_bytes()
    run.workspace.manifest.write_bytes(text.replace(b'"abc"', b'"abd"'))
    assert sealing_of(saved(run), "sesame") is None


def test_without_a_password_there_is_no_seal(run: SealedRun) -> None:
    run.sealing = SealingKey.of("")
    run.save()
    assert sealing_of(saved(run), "") is None
    assert "sesame" not in repr(run.sealing)
