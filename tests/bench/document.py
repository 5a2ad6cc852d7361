"""The tables of docs/performance.md, which the bench writes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

DOCUMENT = Path("docs/performance.md")


def write_tables(path: Path, parts: Mapping[str, str]) -> None:
    """Put each part between the marks of its name:

        <!-- bench: NAME -->
        <!-- end -->

    Raises ValueError when there are none."""
    text = path.read_text(encoding="utf-8")
    for name, part in parts.items():
        before, found, rest = text.partition(f"<!-- bench: {name} -->\n")
        end = rest.find("<!-- end -->")
        if not found or end < 0:
            raise ValueError(f"{path} has no place for {name}")
        text = f"{before}{found}\n{part}\n\n{rest[end:]}"
    path.write_text(text, encoding="utf-8")
