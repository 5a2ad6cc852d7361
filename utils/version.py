"""Which tool this is: its version, and a digest of the code that makes an item out of a row.

A run that is resumed by another version would put items of two kinds into one table. In a checkout
the version alone would not tell: so the code of the rules itself is digested.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib.abc import Traversable

VERSION = "1.0.0"
_RULES = ("extract", "transform", "validate", "utils/schemas")
_MODULES = (
    "utils/dynamodb/item_content.py",
    "utils/dynamodb/item_text.py",
    "utils/entities.py",
    "utils/files/quarantine.py",
    "utils/item_schemas.py",
    "utils/sale_numbering.py",
)
_KINDS = (".py", ".json")
PACKAGES = ("extract", "transform", "validate", "load", "utils")  # all of the tool's code


@cache
def rules() -> str:
    """A digest of the code and the schemas that decide what becomes of a row."""
    digest = hashlib.blake2b(digest_size=6)
    for name, content in _files():
        digest.update(f"{name} {len(content)}\n".encode() + content)
    return digest.hexdigest()


@cache
def whole_code() -> str:
    """A digest of all of the tool's code and schemas."""
    digest = hashlib.sha256()
    for package in PACKAGES:
        for name, content in _below(package):
            digest.update(f"{name} {len(content)}\n".encode() + content)
    return digest.hexdigest()


def _files() -> Iterator[tuple[str, bytes]]:
    for package in _RULES:
        yield from _below(package)
    yield from ((name, _place(name).read_bytes()) for name in _MODULES)


def _place(name: str) -> Traversable:
    """A file or a folder of the code, which may be in a zip."""
    package, _, rest = name.partition("/")
    return files(package) / rest if rest else files(package)


def _below(name: str, place: Traversable | None = None) -> Iterator[tuple[str, bytes]]:
    """The files of a folder, and of those in it, with their names and contents."""
    for each in sorted((place or _place(name)).iterdir(), key=lambda each: each.name):
        inner = f"{name}/{each.name}"
        if each.is_dir():
            yield from _below(inner, each)
        elif each.name.endswith(_KINDS):
            yield inner, each.read_bytes()


def this_tool() -> dict[str, str]:
    """What the manifest and every report say of the tool."""
    return {"version": VERSION, "rules": rules()}
