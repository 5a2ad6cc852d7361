"""What was encrypted and altered since is said to be so, wherever it was altered."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from utils.error_handler import ArtifactError
from utils.files.encryption import decrypt_file, encrypt, new_identity


@pytest.mark.parametrize("place", [10, 170, 400, 70_000, -1])
def test_a_byte_altered_in_the_head_or_behind_it_is_the_file_s_fault(
    tmp_path: Path, place: int
) -> None:
    identity, public = new_identity()
    sealed = bytearray(encrypt(b"a record" * 20_000, (public,)))
    sealed[place] ^= 1
    path = tmp_path / "buyers.json.age"
    path.write_bytes(sealed)
    with pytest.raises(ArtifactError, match="was cut or edited"):
        decrypt_file(path, io.BytesIO(), (identity,))
