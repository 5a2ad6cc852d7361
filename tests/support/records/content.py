"""What an artifact holds, in whatever form it is."""

from __future__ import annotations

from pathlib import Path

from utils.files.parts import opened_here


def content_of(path: Path) -> bytes:
    """The bytes of an artifact, though it be in parts."""
    with opened_here(path) as file:
        return file.read()
