"""Which records of an extracted file changed rows belong to: read off the file, in one pass."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from utils.files.artifacts import lines_of
from utils.files.extracted_rows import key_of_row

_NUMBER = rb'"%b":\s*"?(-?[0-9]+)'


def affected(
    path: Path, references: Mapping[str, frozenset[int]], children: frozenset[int], child_key: str
) -> Iterator[int]:
    """The keys of the records that name one of the keys in `references` (by column), or have one of
    the `children`, whose key is the column `child_key`. May name others as well: to read one again
    for nothing does no harm."""
    asked = [(name, keys) for name, keys in references.items() if keys]
    if children:
        asked.append((child_key, children))
    patterns = [
        (re.compile(_NUMBER % re.escape(name).encode()), {str(key).encode() for key in keys})
        for name, keys in asked
    ]
    for line in lines_of(path):
        for pattern, wanted in patterns:
            if not wanted.isdisjoint(pattern.findall(line)):
                key = key_of_row(line)
                if key is not None:
                    yield key
                break
