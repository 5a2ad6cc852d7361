"""Files of records that are encrypted at the end of a run: never lost, whatever goes wrong."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyrage
import pytest

from utils.config import Config, DataConfig
from utils.earlier.kept import Keeping
from utils.error_handler import ArtifactError, ConfigurationError, ExitCode, StorageError
from utils.files.artifacts import ArtifactWriter
from utils.files.encryption import Recipient, encrypt_file
from utils.files.workspace import Workspace
from utils.run.manifest import Manifest
from utils.run.run import Run
from utils.run.sealing import seal, sealed_name, unseal

TEXT = b'{"first_id": 1, "name": "Rossi"}\n' * 50_000


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run that has ended, with one file of records and a recipient."""
    key = pyrage.x25519.Identity.generate()
    (tmp_path / "key.txt").write_text(str(key))
    files = Workspace(tmp_path / "data")
    files.prepare()
    data = DataConfig(str(files.root), str(key.to_public()), str(tmp_path / "key.txt"))
    made = Run(Config(data=data), files, Manifest.new())
    with ArtifactWriter(files.extracted("buyers")) as writer:
        writer.write(TEXT, records=50_000, items=0)
        made.publish(files.extracted("buyers"), writer.commit())
    made.manifest.outcome = ExitCode.DONE
    made.save()
    return made


def test_encrypted_and_opened_again_it_is_the_same(run: Run) -> None:
    path = run.workspace.extracted("buyers")
    seal(run)
    assert not path.exists()
    assert b"Rossi" not in sealed_name(path).read_bytes()
    with pytest.raises(ArtifactError, match="is encrypted"):
        run.artifact(path, written_by="extract")
    unseal(run)
    assert path.read_bytes() == TEXT
    assert not sealed_name(path).exists()
    assert not Manifest.load(run.workspace.manifest).sealed  # type: ignore[union-attr]


def test_what_was_kept_for_the_next_pass_does_not_stay_readable(run: Run) -> None:
    path = run.workspace.extracted("buyers")
    keeping = Keeping(run, "transform", "buyers", "")
    keeping.keep({"rows": (path, run.manifest.sha_of("extracted/buyers.json"))}, {})
    assert keeping.proven() is not None
    seal(run)
    assert keeping.proven() is None
    assert not [*run.workspace.last_pass.iterdir()]


@pytest.mark.parametrize("outcome", [None, ExitCode.FAILED, ExitCode.INTERRUPTED])
def test_a_run_that_is_to_be_resumed_keeps_its_files(run: Run, outcome: ExitCode | None) -> None:
    run.manifest.outcome = outcome
    seal(run)
    assert run.workspace.extracted("buyers").exists()


def test_what_is_not_read_back_as_it_was_stays_readable(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoiling(plain: Path, sealed: Path, keys: tuple[Recipient, ...]) -> None:
        other = plain.with_name("other")
        other.write_bytes(plain.read_bytes()[1:])
        encrypt_file(other, sealed, keys)

    monkeypatch.setattr("utils.run.sealing.encrypt_file", spoiling)
    with pytest.raises(StorageError, match="cannot be read back"):
        seal(run)
    assert run.workspace.extracted("buyers").read_bytes() == TEXT
    assert not Manifest.load(run.workspace.manifest).sealed  # type: ignore[union-attr]


def test_an_encrypted_file_that_was_cut_is_refused(run: Run) -> None:
    seal(run)
    sealed = sealed_name(run.workspace.extracted("buyers"))
    sealed.write_bytes(sealed.read_bytes()[:-1])
    with pytest.raises(ArtifactError, match=r"buyers\.json\.age is missing, or was cut"):
        unseal(run)
    assert sealed.exists()


def test_without_a_key_nothing_is_opened_and_it_is_said_what_is_needed(run: Run) -> None:
    seal(run)
    run.config = replace(run.config, data=replace(run.config.data, identity=None))
    with pytest.raises(ConfigurationError, match="is encrypted") as caught:
        unseal(run)
    assert "--identity FILE" in caught.value.remedy


def test_a_new_run_without_a_recipient_leaves_no_old_encrypted_file(run: Run) -> None:
    seal(run)
    run.config = replace(run.config, data=replace(run.config.data, recipient=None))
    run.manifest = replace(Manifest.new(), outcome=ExitCode.DONE)
    seal(run)
    assert not sealed_name(run.workspace.extracted("buyers")).exists()
