"""What was found, for the screen: by rule, with an example, causes before their consequences."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from utils.entities import shape_of
from utils.files.findings import Cause, Finding
from utils.findings.findings_table import RuleCount, rules_found
from utils.findings.sentences import because
from utils.run.run import Run
from utils.wording.figures import counted

_RULES = 8  # that the screen bears
_LONGEST = 160  # characters of an example


def findings_text(run: Run) -> str:
    """The block for the screen of what was found last, "" when there was nothing; `--dry-run` shows
    it with its plan."""
    return said_of(rules_found(run), run.workspace.findings)


def said_of(rules: Sequence[RuleCount], table: Path) -> str:
    """The same of counts that are in their order; `table` has every finding."""
    if not rules:
        return ""
    errors = sum(each.count for each in rules if each.severity == "error")
    warnings = sum(each.count for each in rules) - errors
    amounts = [counted(errors, "error")] if errors else []
    amounts += [counted(warnings, "warning")] if warnings else []
    lines = [f"Found: {' and '.join(amounts)}. All of them are in {table}"]
    lines += map(_line, rules[:_RULES])
    if rest := rules[_RULES:]:
        further = counted(sum(each.count for each in rest), "finding")
        lines.append(f"  and {counted(len(rest), 'more rule')} with {further}, in {table.name}")
    return "\n".join(lines)


def _line(each: RuleCount) -> str:
    finding = Finding.of_json(each.example)
    head = f"{counted(each.count, each.severity)} {each.rule} of {each.entity}"
    return f"  {head}: {example(finding)}"


def example(finding: Finding) -> str:
    """One finding in a line: where it is in S9, what is there, what is wrong, and why."""
    place = finding.table or shape_of(finding.entity).singular
    where = f"{place} {finding.key or finding.legacy_id}"
    if finding.column:
        where += f", {finding.column} {finding.value or 'empty'}".rstrip()
    text = f"{where}: {finding.message}"
    why = _why(finding.cause, finding.message)
    room = _LONGEST - len(why)
    return (text if len(text) <= room else f"{text[: room - 1]}…") + why


def _why(cause: Cause | None, message: str) -> str:
    reason = because(cause) if cause and cause.why != "absent" else ""  # the message says that
    return f" (because {reason})" if reason and reason not in message else ""
