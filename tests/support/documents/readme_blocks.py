"""The parts of the README that come from the code: the help text and the settings table.

`python -m tests.support.documents.readme_blocks` writes them into README.md; a test compares them.
"""

from __future__ import annotations

import json
import re
from dataclasses import fields, replace

from click.testing import CliRunner

from migrate import cli
from tests.support.places import ROOT
from utils.config import Config, defaults, json_name, json_schema, section_type
from utils.wording import invocation

README = ROOT / "README.md"


def help_text(*command: str) -> str:
    """What `python migrate.py … --help` prints, as a block of the README."""
    before = replace(invocation.state())
    result = CliRunner().invoke(cli, [*command, "--help"], prog_name="python migrate.py")
    invocation.restore(before)  # it was not called by whoever runs this
    assert result.exit_code == 0
    return f"```text\n{result.output.rstrip()}\n```"


def settings_table() -> str:
    """Every setting with its default and its meaning, a table a section."""
    parts = []
    for declared in fields(Config):
        name = json_name(declared.name)
        rows = "\n".join(_rows(name, json_schema()["properties"][name], defaults()[name]))
        kind = section_type(Config, declared.name)
        about = (kind.__doc__ or "").splitlines()[0] if kind else ""
        parts.append(
            f"**`{name}`** {about}\n\n| Setting | Default | Meaning |\n|---|---|---|\n{rows}"
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


def blocks() -> dict[str, str]:
    """Every generated block by the name of its markers."""
    return {
        "help": help_text(),
        "help-demo": help_text("demo"),
        "settings": settings_table(),
    }


def inserted(text: str) -> str:
    """`text` with every block between its markers, <!-- name --> and <!-- /name -->."""
    for name, block in blocks().items():
        pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        text, count = pattern.subn(lambda m, b=block: m[1] + b + "\n" + m[2], text)  # type: ignore[misc]
        assert count == 1, f"the README needs the markers of {name} once"
    return text


if __name__ == "__main__":
    README.write_text(inserted(README.read_text(encoding="utf-8")), encoding="utf-8")
