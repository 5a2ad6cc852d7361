"""What is sent of a working copy: what has changed, held as it was."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import orjson
import pytest

from utils.files.artifacts import sha256_of
from utils.files.storage import write_atomically
from utils.working_copy.index import Entry
from utils.working_copy.record import Record
from utils.working_copy.staging import Staged, When, clear, cut, know_again, send_all

Files = dict[str, Entry]


class Sent:
    """Somewhere to send files to."""

    def __init__(self, root: Path) -> None:
        self.record = Record(root, "s3://bucket/data")
        self.files: Files = {}
        self.contents: dict[str, bytes] = {}
        self.names: list[str] = []

    def send(self, when: When = When.BARRIER) -> list[str]:
        """Send what has changed; returns the names of what was looked at for that."""
        self.names = []
        found = cut(self.record, self.files, when)
        self.files = send_all(found, self.record, self.files, self._send)
        clear(self.record.root)
        know_again(found, self.record)
        return [staged.name for staged in found.staged]

    def _send(self, staged: Staged, sha256: str) -> Entry:
        self.names.append(staged.name)
        self.contents[sha256] = staged.path.read_bytes()
        return Entry(staged.path.stat().st_size, sha256, f"files/{sha256}", life=staged.life)

    def content(self, name: str) -> bytes:
        return self.contents[self.files[name].sha256]


@pytest.fixture
def sent(tmp_path: Path) -> Sent:
    for name in ("transformed", "undo", "reports", "backups/T-20260130-080000"):
        (tmp_path / name).mkdir(parents=True)
    return Sent(tmp_path)


def test_what_was_sent_is_neither_sent_nor_read_again(sent: Sent) -> None:
    root = sent.record.root
    for name in ("manifest.json", "transformed/sales.json", "backups/T-20260130-080000/keys.bin"):
        write_atomically(root / name, name.encode())
    assert len(sent.send()) == 3
    assert sent.send() == []
    assert sent.send(When.END) == []
    write_atomically(root / "manifest.json", b"other")
    assert sent.send() == ["manifest.json"]
    (root / "transformed/sales.json").unlink()
    sent.send()
    assert "transformed/sales.json" not in sent.files


def test_one_content_under_two_names_is_sent_once(sent: Sent) -> None:
    root = sent.record.root
    write_atomically(root / "transformed/sales.json", b"sales")
    (root / "undo/sales.loaded").hardlink_to(root / "transformed/sales.json")
    sent.send()
    assert len(sent.names) == 1
    assert sent.files["undo/sales.loaded"] == sent.files["transformed/sales.json"]
    for _ in range(2):  # a link of one is a change of the other's look
        looked_at = sent.send()
    assert looked_at == []


def test_what_is_replaced_while_it_is_sent_is_sent_as_it_was(sent: Sent) -> None:
    root = sent.record.root
    write_atomically(root / "manifest.json", b"before")
    found = cut(sent.record, {}, When.BARRIER)
    write_atomically(root / "manifest.json", b"after")
    (held,) = found.staged
    assert held.path.read_bytes() == b"before"


@pytest.mark.parametrize("name", ["undo/sales.plan", "undo/sales.kept", "import/sales.objects"])
def test_what_is_written_in_place_is_copied(sent: Sent, name: str) -> None:
    path = sent.record.root / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"before")
    found = cut(sent.record, {}, When.BARRIER)
    with path.open("r+b") as file:
        file.write(b"after!")
    (held,) = found.staged
    assert held.path.read_bytes() == b"before"
    clear(sent.record.root)
    sent.send()
    assert sent.content(name) == b"after!"


def test_a_checkpoint_is_sent_of_a_load_alone(sent: Sent) -> None:
    path = sent.record.root / ".checkpoint.json"
    write_atomically(path, orjson.dumps({"checkpoint": {"phase": "extract"}}))
    sent.send(When.MEANWHILE)
    assert sent.files == {}
    write_atomically(path, orjson.dumps({"checkpoint": {"phase": "load"}}))
    sent.send(When.MEANWHILE)
    assert list(sent.files) == [".checkpoint.json"]
    path.unlink()
    sent.send(When.MEANWHILE)
    assert sent.files == {}


def test_meanwhile_nothing_is_sent_that_belongs_together(sent: Sent) -> None:
    root = sent.record.root
    write_atomically(root / "manifest.json", b"before")
    sent.send()
    write_atomically(root / "manifest.json", b"after")
    (root / "events.jsonl").write_bytes(b"{}\n")
    assert sent.send(When.MEANWHILE) == ["events.jsonl"]
    assert sent.content("manifest.json") == b"before"


def test_kept_items_are_sent_once_and_at_the_end(sent: Sent) -> None:
    path = sent.record.root / "undo/sales.before"
    with closing(sqlite3.connect(path)) as file:
        file.execute("PRAGMA user_version=7")
        file.execute("CREATE TABLE before (key TEXT)")
        file.commit()
        sent.send()
        file.execute("INSERT INTO before VALUES ('a')")
        file.commit()
        assert sent.send() == []
        assert sent.files["undo/sales.before"].life == "00000007"
        sent.send(When.END)
        file.execute("PRAGMA user_version=8")
        file.commit()
        assert sent.send() == ["undo/sales.before"]
    assert sent.files["undo/sales.before"].life == "00000008"
    copy = sent.record.root / "copy"
    copy.write_bytes(sent.content("undo/sales.before"))
    assert sha256_of(copy) == sent.files["undo/sales.before"].sha256
    with closing(sqlite3.connect(copy)) as file:
        assert file.execute("SELECT key FROM before").fetchall() == [("a",)]
