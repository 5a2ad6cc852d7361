"""JSON as operators write it: with `// …` and `/* … */` comments, and no more.

The libraries for it are not kept up, or take a good deal more (JSON5: other quotes, bare keys,
NaN). So comments are made blank, character for character, and Python's own parser reads the rest:
the line and column of a mistake are those of the file.
"""

from __future__ import annotations

import json
import re
from typing import Any

IN_NO_TEXT = re.compile("[\x00\ud800-\udfff]")
"""A NUL, or half of a surrogate pair: in no name, path or password that anyone takes."""

_TOKEN = re.compile(
    r"""(?P<text>"(?:[^"\\\n]|\\.)*"?)
      | (?P<comment>//[^\n]* | /\*.*?\*/)
      | (?P<open>/\*)
      | (?P<bracket>[\[\]{}])""",
    re.S | re.X,
)
_DEEPEST = 32  # the deepest setting is in its third object


def without_comments(text: str) -> str:
    """The text with blanks in the place of its comments.

    Raises ValueError for a comment that does not end, and for objects in objects without end.
    """
    pieces, after, depth = [], 0, 0
    for token in _TOKEN.finditer(text):
        if token.lastgroup == "open":
            raise json.JSONDecodeError("a comment is not closed", text, token.start())
        if token.lastgroup == "comment":
            pieces += [text[after : token.start()], re.sub(r"[^\n]", " ", token[0])]
            after = token.end()
        if token.lastgroup == "bracket":
            depth += 1 if token[0] in "[{" else -1
            if depth > _DEEPEST:
                raise json.JSONDecodeError("too deeply nested", text, token.start())
    return "".join(pieces) + text[after:]


def parsed(text: str) -> Any:
    """The value that a text stands for. Raises ValueError that says what is wrong, and where."""
    value = json.loads(
        without_comments(text), object_pairs_hook=_refuse_twins, parse_constant=_refuse_constant
    )
    _refuse_what_no_text_holds(value)
    return value


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON number")


def _refuse_what_no_text_holds(value: Any) -> None:
    if isinstance(value, dict):
        for key, inner in value.items():
            _refuse_what_no_text_holds(key)
            _refuse_what_no_text_holds(inner)
    elif isinstance(value, list):
        for inner in value:
            _refuse_what_no_text_holds(inner)
    elif isinstance(value, str) and (bad := IN_NO_TEXT.search(value)):
        raise ValueError(f"a text has \\u{ord(bad[0]):04x} in it, which no text can hold")


def _refuse_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A key given twice would silently lose its first value."""
    result = dict(pairs)
    if len(result) != len(pairs):
        names = [name for name, _ in pairs]
        twin = next(name for name in names if names.count(name) > 1)
        raise ValueError(f'the key "{twin}" stands twice in one object')
    return result
