"""Which tool this is: its version, and a digest of the code that makes an item out of a row.

A run that is resumed by another version would put items of two kinds into one table. In a checkout
the version alone would not tell: so the code of the rules itself is digested.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

VERSION = "1.0.0"
_ROOT = Path(__file__).parents[1]
_PACKAGES = ("extract", "transform", "validate", "utils/schemas")
_MODULES = (
    "utils/dynamodb/item_content.py",
    "utils/dynamodb/item_text.py",
    "utils/entities.py",
    "utils/files/quarantine.py",
    "utils/item_schemas.py",
    "utils/sale_numbering.py",
)
_KINDS = (".py", ".json")
_ALL = ("extract", "transform", "validate", "load", "utils")


@cache
def rules() -> str:
    """A digest of the code and the schemas that decide what becomes of a row."""
    digest = hashlib.blake2b(digest_size=6)
    for path in _files():
        content = path.read_bytes()
        name = path.relative_to(_ROOT).as_posix()
        digest.update(f"{name} {len(content)}\n".encode() + content)
    return digest.hexdigest()


@cache
def whole_code() -> str:
    """A digest of all of the tool's code and schemas."""
    digest = hashlib.sha256()
    for package in _ALL:
        for path in sorted((_ROOT / package).rglob("*")):
            if path.suffix in _KINDS:
                content = path.read_bytes()
                digest.update(f"{path.name} {len(content)}\n".encode() + content)
    return digest.hexdigest()


def _files() -> Iterator[Path]:
    for package in _PACKAGES:
        yield from sorted(path for path in (_ROOT / package).rglob("*") if path.suffix in _KINDS)
    yield from (_ROOT / name for name in _MODULES)


def this_tool() -> dict[str, str]:
    """What the manifest and every report say of the tool."""
    return {"version": VERSION, "rules": rules()}
