"""An archive of evidence is the same bytes for the same content, and shows every change of it."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import random
import stat
import subprocess
import tarfile
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import orjson
import pyrage
import pytest
from hypothesis import given
from hypothesis import strategies as st

from utils.error_handler import ConfigurationError, ExitCode, MigrationError
from utils.evidence import packing
from utils.evidence.archive import (
    DOCUMENT,
    entry_head,
    head,
    padding,
)
from utils.evidence.archive_reader import NotEvidence
from utils.evidence.checking import Verdict, check
from utils.evidence.contents import Packed, without_secrets
from utils.evidence.packing import Made, pack
from utils.files.artifacts import ArtifactEntry
from utils.files.encryption import identities, recipients
from utils.files.workspace import Workspace
from utils.reports.report_schemas import problems_of
from utils.run.manifest import Manifest, PhaseEntry

SETTINGS = {
    "source": {"password": "hunter2", "username": "reader"},
    "transformation": {"userMapping": {"rossi": "m.rossi@example.com"}},
}
RECORD = b'{"Item":{"PK":{"S":"BUYER#1"},"companyName":{"S":"Rossi SpA"}}}\n'


def migrated(root: Path) -> Workspace:
    """A data directory as a run leaves it."""
    files = Workspace(root)
    files.prepare()
    files.undo.mkdir()
    for path in (files.transformed("buyers"), files.quarantine("buyers"), files.before("buyers")):
        path.write_bytes(RECORD)
    files.report("verification").write_bytes(b'{"passed": true}\n')
    files.log.write_bytes(b"2026-01-01 Verify: done\n" * 50)
    files.mask_key.write_bytes(b"k" * 16)
    (files.reports / "notes of mine.txt").write_bytes(b"private")
    manifest = replace(Manifest.new(), run_id="ab12cd34", created_at="2026-01-01T00:00:00Z")
    sha256 = hashlib.sha256(RECORD).hexdigest()
    entry = ArtifactEntry(1, 1, len(RECORD), sha256, "2026-01-01T00:00:00Z")
    manifest.artifacts = {"transformed/buyers.json": entry}
    manifest.outcome = 0
    inputs = {"transformed/buyers.json": sha256}
    manifest.record("verify", "buyers", PhaseEntry("complete", "now", inputs, "", {"passed": True}))
    manifest.save(files.manifest)
    return files


@pytest.fixture
def files(tmp_path: Path) -> Workspace:
    return migrated(tmp_path / "data")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return pack(migrated(tmp_path_factory.mktemp("evidence") / "data"), SETTINGS, None)


def checked(content: bytes, directory: Path) -> Verdict:
    path = directory / "some.tar.gz"
    path.write_bytes(content)
    return check(path, ())


def names_in(path: Path) -> list[str]:
    with tarfile.open(path) as archive:
        return archive.getnames()


def test_an_archive_holds_what_proves_the_run_and_no_records(files: Workspace) -> None:
    made = pack(files, SETTINGS, None)
    assert made.path == files.root / "evidence" / "evidence-ab12cd34.tar.gz"
    assert stat.S_IMODE(made.path.stat().st_mode) == 0o600
    assert names_in(made.path) == [
        DOCUMENT,
        "configuration.json",
        "manifest.json",
        "reports/migration.log",
        "reports/verification_report.json",
    ]
    with tarfile.open(made.path) as archive:
        texts = {name: archive.extractfile(name) for name in archive.getnames()}
        content = {name: text.read() for name, text in texts.items() if text}
    everything = b"".join(content.values())
    assert b"Rossi" not in everything
    assert b"rossi" not in everything
    assert b"hunter2" not in everything
    assert problems_of("evidence", content[DOCUMENT]) == []
    document = orjson.loads(content[DOCUMENT])
    assert document["run"]["runId"] == "ab12cd34"
    assert document["verified"]["buyers"]["passed"] is True
    assert [each["name"] for each in document["notPacked"]] == [
        "quarantine/buyers.json",
        "transformed/buyers.json",
        "undo/buyers.before",
    ]
    assert "not packed" in document["personalData"]
    for each in document["files"]:
        text = content[each["name"]]
        assert (each["size"], each["sha256"]) == (len(text), hashlib.sha256(text).hexdigest())
    verdict = check(made.path, (), here=files)
    assert (verdict.problems, verdict.compared, verdict.same, verdict.gone) == ([], True, 3, 0)
    assert not list(files.root.glob("**/*.partial"))


def test_the_same_evidence_is_the_same_bytes(files: Workspace, tmp_path: Path) -> None:
    first = pack(files, SETTINGS, None)
    for path in files.root.rglob("*"):
        os.utime(path, (1, 1))
    assert pack(files, SETTINGS, None) == first
    other = pack(files, SETTINGS, tmp_path / "other.tar.gz")
    assert other.path.read_bytes() == first.path.read_bytes()
    files.log.write_bytes(b"another\n")
    assert pack(files, SETTINGS, None).path.name == "evidence-ab12cd34-2.tar.gz"
    with pytest.raises(ConfigurationError, match="is there already"):
        pack(files, SETTINGS, tmp_path / "other.tar.gz")


@given(st.data())
def test_any_byte_altered_is_found(
    made: Made, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    content = bytearray(made.path.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    assert is_found(bytes(content), tmp_path_factory.getbasetemp())


def test_every_byte_of_the_head_and_of_the_end_counts(made: Made, tmp_path: Path) -> None:
    """Those that gzip itself does not look at, too."""
    content = made.path.read_bytes()
    for place in (*range(64), *range(len(content) - 16, len(content))):
        for bit in (1, 128):
            altered = bytearray(content)
            altered[place] ^= bit
            assert is_found(bytes(altered), tmp_path), place


def test_an_archive_that_was_cut_or_has_grown_is_found(made: Made, tmp_path: Path) -> None:
    content = made.path.read_bytes()
    chance = random.Random(16)
    for end in (0, 1, 47, 48, len(content) - 1, *chance.sample(range(len(content)), 40)):
        assert is_found(content[:end], tmp_path), end
    for more in (b"\0", content):
        assert is_found(content + more, tmp_path)


def is_found(content: bytes, directory: Path) -> bool:
    """Whether the check says so: by exit code 4, or 2 where it is no archive of evidence."""
    try:
        return checked(content, directory).exit_code == ExitCode.VERIFICATION_FAILED
    except NotEvidence as error:
        return error.exit_code == ExitCode.USAGE


def forged(*blocks: bytes, document: dict[str, object] | None = None) -> bytes:
    """An archive with a right head around whatever blocks, after EVIDENCE.json, if any."""
    out = io.BytesIO()
    first = orjson.dumps(document) if document is not None else None
    plain = b"".join(blocks) + bytes(1024)
    if first is not None:
        plain = entry_head(DOCUMENT, len(first)) + first + bytes(padding(len(first))) + plain
    out.write(gzip.compress(plain, mtime=0)[10:])
    return head(hashlib.sha256(out.getvalue()).digest()) + out.getvalue()


def block(name: str, content: bytes = b"", **particulars: object) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(content), 0o600
    for field, value in particulars.items():
        setattr(info, field, value)
    return info.tobuf(tarfile.GNU_FORMAT) + content + bytes(padding(len(content)))


@pytest.fixture
def document(made: Made) -> dict[str, object]:
    """EVIDENCE.json of an archive with one report."""
    with tarfile.open(made.path) as archive:
        text = archive.extractfile(DOCUMENT)
        assert text
        found: dict[str, object] = orjson.loads(text.read())
    sha256 = hashlib.sha256(b"report").hexdigest()
    return {**found, "files": [{"name": "reports/a.json", "size": 6, "sha256": sha256}]}


REPORT = block("reports/a.json", b"report")


@pytest.mark.parametrize(
    ("blocks", "says"),
    [
        ((), "reports/a.json is missing"),
        ((REPORT, REPORT), "in it twice"),
        ((block("reports/a.json", b"forged"),), "not what was packed"),
        ((block("reports/a.json", b"longer than it"),), "not as EVIDENCE.json says"),
        ((block("reports/a.json", b"report", mtime=7),), "not as EVIDENCE.json says"),
        ((REPORT, block("reports/b.json")), "was added"),
        ((block("../reports/a.json", b"report"),), "may lead elsewhere"),
        ((block("/etc/passwd", b"report"),), "may lead elsewhere"),
        ((block("reports/a.json", type=tarfile.SYMTYPE, linkname="/etc"),), "a symbolic link"),
        ((block("reports/a.json", type=tarfile.LNKTYPE, linkname="x"),), "a hard link"),
        ((block("reports/a.json", type=tarfile.CHRTYPE),), "a device"),
        ((block("reports", type=tarfile.DIRTYPE),), "a directory"),
        ((b"x" * 512,), "where a file should begin"),
        ((REPORT, bytes(1024), REPORT), "something follows its last file"),
    ],
)
def test_what_the_tool_has_not_packed_is_refused_by_name(
    tmp_path: Path, document: dict[str, object], blocks: tuple[bytes, ...], says: str
) -> None:
    verdict = checked(forged(*blocks, document=document), tmp_path)
    assert verdict.exit_code == ExitCode.VERIFICATION_FAILED
    assert any(says in problem for problem in verdict.problems), verdict.problems
    assert [path.name for path in tmp_path.iterdir()] == ["some.tar.gz"]


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ([{"name": "../../etc/cron", "size": 1, "sha256": "0" * 64}], "may lead elsewhere"),
        ([{"name": "reports/a.json", "size": 10**12, "sha256": "0" * 64}], "to fill a disk"),
        ([{"name": "a", "size": 1, "sha256": "0" * 64}] * 2, "names a file twice"),
        ([{"name": "a", "size": -1, "sha256": "0" * 64}], "not as the tool writes it"),
    ],
)
def test_a_document_that_the_tool_does_not_write_is_refused(
    tmp_path: Path, document: dict[str, object], files: list[object], says: str
) -> None:
    verdict = checked(forged(document={**document, "files": files}), tmp_path)
    assert any(says in problem for problem in verdict.problems), verdict.problems


def test_other_archives_are_none(made: Made, tmp_path: Path) -> None:
    again = gzip.compress(gzip.decompress(made.path.read_bytes()))
    for content in (b"", b"hello", again, gzip.decompress(made.path.read_bytes())):
        with pytest.raises(NotEvidence, match="as an archive of evidence does"):
            checked(content, tmp_path)
    with pytest.raises(NotEvidence, match="is not a file"):
        check(tmp_path, ())


def test_a_forged_document_does_not_agree_with_the_manifest(files: Workspace) -> None:
    made = pack(files, SETTINGS, None)
    with tarfile.open(made.path) as archive:
        members = [(info.name, archive.extractfile(info)) for info in archive.getmembers()]
        texts = {name: text.read() for name, text in members if text}
    text = texts.pop(DOCUMENT).replace(b'"passed": true', b'"passed": false')
    blocks = [block(name, content) for name, content in texts.items()]
    content = forged(*blocks, document=orjson.loads(text))
    verdict = checked(content, files.root)
    assert verdict.problems == [
        "EVIDENCE.json says something else of `verified` than manifest.json"
    ]


def test_artifacts_that_are_still_here_are_compared_and_others_are_no_failure(
    files: Workspace,
) -> None:
    made = pack(files, SETTINGS, None)
    files.before("buyers").unlink()
    verdict = check(made.path, (), here=files)
    assert (verdict.problems, verdict.same, verdict.gone) == ([], 2, 1)
    files.quarantine("buyers").write_bytes(RECORD.replace(b"1", b"2"))
    verdict = check(made.path, (), here=files)
    (problem,) = verdict.problems
    assert problem.startswith(str(files.quarantine("buyers")))
    assert check(made.path, ()).problems == []  # by itself it is whole


def test_another_run_in_the_data_directory_is_not_compared(files: Workspace) -> None:
    made = pack(files, SETTINGS, None)
    replace(Manifest.new()).save(files.manifest)
    files.quarantine("buyers").write_bytes(b"")
    verdict = check(made.path, (), here=files)
    assert (verdict.problems, verdict.compared) == ([], False)


def test_an_artifact_that_was_not_as_the_manifest_says_is_told(files: Workspace) -> None:
    files.transformed("buyers").write_bytes(b"{}\n")
    verdict = check(pack(files, SETTINGS, None).path, ())
    assert verdict.problems == [
        "transformed/buyers.json was not what manifest.json says when the evidence was packed"
    ]


def test_the_noted_checksum_tells_another_archive(made: Made) -> None:
    assert check(made.path, (), noted=made.sha256.upper()).problems == []
    (problem,) = check(made.path, (), noted="0" * 64).problems
    assert "was noted" in problem


def test_an_encrypted_archive_opens_with_its_key_alone(files: Workspace, tmp_path: Path) -> None:
    key, other = pyrage.x25519.Identity.generate(), pyrage.x25519.Identity.generate()
    paths = [tmp_path / "key", tmp_path / "other"]
    for path, secret in zip(paths, (key, other), strict=True):
        path.write_text(str(secret))
    public = recipients(str(key.to_public()), "data.recipient")
    made = pack(files, SETTINGS, None, recipients=public)
    assert made.path.name.endswith(".tar.gz.age")
    assert stat.S_IMODE(made.path.stat().st_mode) == 0o600
    assert check(made.path, identities(paths[0]), here=files).problems == []
    with pytest.raises(ConfigurationError, match="is encrypted"):
        check(made.path, ())
    with pytest.raises(NotEvidence, match="encrypted for someone else"):
        check(made.path, identities(paths[1]))
    content = made.path.read_bytes()
    chance = random.Random(16)
    for place in (0, 30, 60, *chance.sample(range(len(content)), 40), len(content) - 1):
        altered = bytearray(content)
        altered[place] ^= 1
        assert is_found_with(bytes(altered), tmp_path, identities(paths[0])), place


def is_found_with(content: bytes, directory: Path, keys: tuple[object, ...]) -> bool:
    path = directory / "altered.age"
    path.write_bytes(content)
    try:
        return check(path, keys).exit_code == ExitCode.VERIFICATION_FAILED
    except MigrationError as error:
        return error.exit_code == ExitCode.USAGE


def test_a_large_archive_is_packed_and_checked_in_constant_memory(files: Workspace) -> None:
    chance = random.Random(16)
    with files.log.open("wb") as handle:
        for _ in range(24):
            handle.write(chance.randbytes(1 << 16) * 16)  # what repeats itself shrinks
    tracemalloc.start()
    try:
        made = pack(files, SETTINGS, None)
        assert check(made.path, (), here=files).problems == []
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


def test_what_shrinks_like_a_bomb_is_packed_so_that_it_can_be_checked(files: Workspace) -> None:
    files.log.write_bytes(bytes(70 << 20))
    made = pack(files, SETTINGS, None)
    assert check(made.path, ()).problems == []
    assert made.path.stat().st_size > 70 << 20


def test_a_file_that_changes_meanwhile_leaves_no_archive(
    files: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def meanwhile(out: Path, document: bytes, content: list[Packed]) -> None:
        files.log.write_bytes(b"2026-01-01 Verify: gone\n" * 50)
        write(out, document, content)

    write: Callable[..., None] = packing._write
    monkeypatch.setattr(packing, "_write", meanwhile)
    with pytest.raises(MigrationError, match=r"was changed .*migration\.log"):
        pack(files, SETTINGS, None)
    assert not list((files.root / "evidence").glob("*"))


def test_nothing_is_left_of_secrets_and_users_in_the_configuration() -> None:
    shown = without_secrets(
        {
            "source": {"password": "${S9_PASSWORD}", "host": "s9.example.com"},
            "transformation": {"userMapping": {"rossi": "verdi"}, "statusMapping": {"A": "paid"}},
            "extraction": {"sales": {"where": "email <> 'm.rossi@example.com'"}},
        }
    )
    assert shown["source"] == {"password": "${S9_PASSWORD}", "host": "s9.example.com"}
    assert shown["transformation"]["statusMapping"] == {"A": "paid"}
    assert not {"rossi", "verdi"} & {*shown["transformation"]["userMapping"]}
    assert b"rossi" not in orjson.dumps(shown)
    assert without_secrets({"source": {"password": "abc"}})["source"]["password"] == "***"


def test_tar_opens_it(made: Made, tmp_path: Path) -> None:
    done = subprocess.run(
        ["tar", "xzf", made.path, "-C", tmp_path], capture_output=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert (tmp_path / "reports" / "migration.log").stat().st_size == 50 * 24
