"""The parts of the documents that come from the code: commands, help texts, settings, rules.

`python -m tests.support.documents.doc_blocks` writes them between their markers, <!-- name --> and
<!-- /name -->; a test compares them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import fields, replace
from functools import partial

import click
from click.testing import CliRunner

from migrate import cli
from tests.support.documents.event_schema import FILE, event_schema, text
from tests.support.places import ROOT
from utils.config import Config, defaults, json_name, json_schema, section_type
from utils.reports.report_schemas import report_names, rows_of, schema
from utils.wording import invocation
from validate.rules.catalogue import RULES

EVERY_EVENT = ("run", "number", "at", "event")
_OPTIONS_FIRST = ("full", "phase", "dry_run", "resume")


def commands() -> tuple[str, ...]:
    """The secondary commands, by name."""
    return tuple(cli.list_commands(click.Context(cli)))


def commands_table() -> str:
    """What can be typed, and what it does in a line."""
    options = {option.name: option for option in cli.params if isinstance(option, click.Option)}
    rows = [(_typed(options[name]), options[name].help or "") for name in _OPTIONS_FIRST] + [
        (name, _short_help(name)) for name in commands()
    ]
    return "\n".join(
        ["| `python migrate.py …` | Does |", "|---|---|", *(f"| `{a}` | {b} |" for a, b in rows)]
    )


def _typed(option: click.Option) -> str:
    return option.opts[0] + ("" if option.is_flag else f" {(option.name or '').upper()}")


def _short_help(name: str) -> str:
    command = cli.get_command(click.Context(cli), name)
    assert command
    return command.get_short_help_str(limit=1_000)


def help_text(*command: str) -> str:
    """What `python migrate.py … --help` prints, as a block."""
    before = replace(invocation.state())
    result = CliRunner().invoke(cli, [*command, "--help"], prog_name="python migrate.py")
    invocation.restore(before)  # it was not called by whoever runs this
    assert result.exit_code == 0
    return f"```text\n{result.output.rstrip()}\n```"


def help_texts() -> str:
    """The help text of every command, each under its name."""
    parts = [help_text(), *(f"## {name}\n\n{help_text(name)}" for name in commands())]
    return "\n\n".join(parts)


def settings_table() -> str:
    """Every setting with its default and its meaning, a table a section."""
    parts = []
    for declared in fields(Config):
        name = json_name(declared.name)
        rows = "\n".join(_rows(name, json_schema()["properties"][name], defaults()[name]))
        kind = section_type(Config, declared.name)
        about = (kind.__doc__ or "").splitlines()[0] if kind else ""
        parts.append(
            f"### `{name}`\n\n{about}\n\n| Setting | Default | Meaning |\n|---|---|---|\n{rows}"
        )
    return "\n\n".join(parts)


def _rows(path: str, schema: dict[str, object], default: object) -> list[str]:
    rows: list[str] = []
    properties = schema["properties"]
    assert isinstance(properties, dict) and isinstance(default, dict)
    for name, inner in properties.items():
        if "properties" in inner:
            rows += [f"| `{name}.{row[3:]}" for row in _rows(name, inner, default[name])]
        else:
            shown = json.dumps(default[name], ensure_ascii=False)
            rows.append(f"| `{name}` | `{shown}` | {inner['description']} |")
    return rows


def rules_table() -> str:
    """Every rule of the gate, by what is switched on and off together."""
    rows = [
        f"| `{name}` | {rule.severity} | {rule.group} | {rule.meaning} |"
        for name, rule in RULES.items()
    ]
    return "\n".join(["| Rule | Severity | Group | Finds |", "|---|---|---|---|", *rows])


def report_table(name: str) -> str:
    """What a report is, and each of its fields."""
    rows = [f"| `{path}` | {about} |" for path, about in rows_of(name)]
    about = schema(name)["description"]
    if not rows:
        return str(about)
    return "\n".join([about, "", "| Field | Means |", "|---|---|", *rows])


def events_table() -> str:
    """Every kind of event: what it says, and with which fields."""
    rows = []
    for kind in event_schema()["oneOf"]:
        own = (f"`{name}`" for name in kind["properties"] if name not in EVERY_EVENT)
        rows.append(f"| `{kind['title']}` | {kind['description']} | {', '.join(own)} |")
    return "\n".join(["| Event | Means | Fields |", "|---|---|---|", *rows])


BLOCKS: dict[str, dict[str, Callable[[], str]]] = {
    "README.md": {"commands": commands_table},
    "docs/commands.md": {"help": help_texts},
    "docs/configuration.md": {"settings": settings_table},
    "docs/reports.md": {
        "rules": rules_table,
        **{f"report-{name}": partial(report_table, name) for name in report_names()},
        "events": events_table,
    },
}


def inserted(document: str, text: str) -> str:
    """`text`, which is that of a document, with every generated block between its markers."""
    for name, block in BLOCKS[document].items():
        pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        made = block()
        text, count = pattern.subn(lambda m, b=made: m[1] + b + "\n" + m[2], text)  # type: ignore[misc]
        assert count == 1, f"{document} needs the markers of {name} once"
    return text


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
    for each in BLOCKS:
        path = ROOT / each
        path.write_text(inserted(each, path.read_text(encoding="utf-8")), encoding="utf-8")
