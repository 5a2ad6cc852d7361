"""Every report that a command leaves is as its schema says (utils/reports/schemas)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from utils.reports.report_schemas import problems_of, report_names, report_of

_SUFFIXES = (".json", ".jsonl")
_SHOWN = 5


@dataclass
class DeclaredReports:
    """The reports below a directory. What was looked at once is not again until it is written
    again, and what a test puts there itself is what it is."""

    seen: dict[Path, tuple[int, int]] = field(default_factory=dict)

    def look(self, directory: Path) -> list[Path]:
        """The reports that were written since this was last asked."""
        written = []
        for path in directory.rglob("*"):
            is_report = path.parent.name == "reports" or path.name == "events.jsonl"
            if not is_report or path.suffix not in _SUFFIXES or path.is_symlink():
                continue
            status = path.stat()
            state = (status.st_ino, status.st_mtime_ns)
            if path.is_file() and self.seen.get(path) != state:
                self.seen[path] = state
                written.append(path)
        return written

    def check(self, directory: Path) -> None:
        """Assert that each of them is declared, and is what is declared."""
        for path in self.look(directory):
            name = report_of(path.name)
            assert name, f"{path.name} has no schema in utils/reports/schemas"
            content = path.read_bytes()
            if path.suffix == ".jsonl":  # of one that was killed, the last line may be torn
                content = b"\n".join(line for line in content.splitlines() if _is_whole(line))
            wrong = problems_of(name, content, lines=path.suffix == ".jsonl")
            assert not wrong, "\n".join(
                [f"{path.name} is not as {name}.json says:", *wrong[:_SHOWN]]
            )

    def check_printed(self, arguments: Sequence[str], text: str) -> None:
        """Assert the same of what a command with --json has printed."""
        names = [each for each in arguments if each in report_names()]
        assert names, f"{' '.join(arguments)} has no schema in utils/reports/schemas"
        wrong = problems_of(names[0], text.encode(), lines="--watch" in arguments)
        assert not wrong, "\n".join([f"it is not as {names[0]}.json says:", *wrong[:_SHOWN]])


def _is_whole(line: bytes) -> bool:
    try:
        orjson.loads(line)
    except orjson.JSONDecodeError:
        return False
    return True
