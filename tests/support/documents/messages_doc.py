"""docs/messages.md: every sentence with which a command can end, from utils/cli/closings.py.

`python -m tests.support.documents.messages_doc` writes it; a test compares it.
"""

from __future__ import annotations

from collections.abc import Iterable

from tests.support.places import ROOT
from utils.cli.closings import (
    COMMANDS,
    DIFFERENCES,
    NOTES,
    OPENINGS,
    REASONS,
    REMEDIES,
    Closing,
)

DOCUMENT = ROOT / "docs" / "messages.md"

_HEAD = """# What the tool says at the end

The last line of a run says what happened and what to type next. It is an opening, followed by the
reasons that apply. Names in braces stand for what varies; commands are written with the `--config`
and `--identity` that were given. This page is made from `utils/cli/closings.py` by
`python -m tests.support.documents.messages_doc`, and a test brings about each of its lines.

An error ends with `Error:`, what happened, and `What to do:`; the exit code is then 1, or 2 for a
mistake in the configuration or the command. Ctrl-C ends with exit code 130 and the command that
resumes."""

_PARTS = (
    ("Openings", "", OPENINGS),
    ("Reasons", "Why the target does not hold everything as S9 has it.", REASONS),
    ("Differences", "What verify has found, in `differs`.", DIFFERENCES),
    ("Remedies", "What to do about the differences, in `differs`; one of these.", REMEDIES),
    ("Notes", "Lines before the last one.", NOTES),
    ("Other commands", "", COMMANDS),
)


def document() -> str:
    """The page."""
    parts = [_HEAD]
    for title, about, closings in _PARTS:
        parts.append("\n\n".join(filter(None, [f"## {title}", about, _table(closings)])))
    return "\n\n".join(parts) + "\n"


def _table(closings: Iterable[Closing]) -> str:
    rows = [
        f"| `{each.name}` | {', '.join(str(int(code)) for code in each.codes)} | {each.plain} | "
        f"{each.when} |"
        for each in closings
    ]
    return "\n".join(["| | Exit code | Words | When |", "|---|---|---|---|", *rows])


if __name__ == "__main__":
    DOCUMENT.write_text(document(), encoding="utf-8")
