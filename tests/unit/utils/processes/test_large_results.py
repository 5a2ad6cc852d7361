"""Large results cross to another process whole, and leave nothing behind."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from utils.error_handler import StorageError
from utils.processes.large_results import Bulk


@pytest.mark.parametrize("data", [b"", b"x\n" * 700_000])
def test_it_arrives_whole_and_leaves_no_file(tmp_path: Path, data: bytes) -> None:
    sent = pickle.dumps(Bulk(data, tmp_path))
    assert len(sent) < 500
    (file,) = tmp_path.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    assert pickle.loads(sent).data == data
    assert not list(tmp_path.iterdir())


def test_a_directory_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="gone"):
        pickle.dumps(Bulk(b"x", tmp_path / "gone"))
