"""Records that take the places of others in the extracted file: one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from extract.entities import entities_of
from extract.following import narrow
from extract.reading.records import Records
from utils.config import Config
from utils.files.artifacts import ArtifactWriter
from utils.files.workspace import Workspace
from utils.run.manifest import Manifest
from utils.run.run import Run

BUYERS = entities_of("s9")["buyers"]


def row(key: int, name: str) -> bytes:
    return b'{"first_id":%d,"name":"%b"}\n' % (key, name.encode())


def test_no_more_than_one_of_them_is_held_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = Workspace(tmp_path)
    files.prepare()
    run = Run(Config(), files, Manifest.new())
    path = files.extracted("buyers")
    with ArtifactWriter(path) as before:
        for key in range(0, 1000, 2):
            before.write(row(key, "before"), records=1, items=1)
        run.commit(path, before)
    keys, written = frozenset(range(100, 400)), ArtifactWriter(path)

    @contextmanager
    def records(*_: Any) -> Iterator[Records]:
        def each() -> Records:
            for count, key in enumerate(sorted(keys - {200})):
                assert written.records >= count - 1
                yield b"%d" % key, 1, row(key, "after")

        yield each()

    monkeypatch.setattr(narrow, "records_of", records)
    replaced = tmp_path / "replaced"
    source: Any = None
    with written:
        narrow._write(run, BUYERS, keys, source, source, written, replaced)
        run.commit(path, written)
    expected = {key: "before" for key in range(0, 1000, 2) if key not in keys}
    expected |= dict.fromkeys(keys - {200}, "after")
    assert path.read_bytes() == b"".join(row(*each) for each in sorted(expected.items()))
    assert replaced.read_bytes() == b"".join(row(key, "before") for key in range(100, 400, 2))
    entry = run.manifest.artifacts[files.name_of(path)]
    assert (entry.records, entry.items) == (len(expected), len(expected))
