"""SQL that an operator writes into the configuration: one SELECT, or one condition, and no more.

It is put into brackets inside a query of the tool's own. So it must be whole: every bracket, text
and comment that it opens it closes, none closes more, and no second statement follows. Texts,
quoted names and comments are recognised as the database does, with the settings that the tool's
sessions have (PostgreSQL: standard_conforming_strings; MySQL: sql_mode '').
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_SPACE = r"\s+"
_PLAIN_TEXT = r"'(?:[^']|'')*'"
_ESCAPED = r"'(?:[^'\\]|''|\\.)*'"
_GOING_ON = r"(?:\s|--[^\r\n]*[\r\n])+"  # a text goes on after a line break, in the same way
_TOKENS = {
    "postgresql": re.compile(
        rf"""(?P<space>{_SPACE}|--[^\r\n]*)
          | (?P<nested>/\*)
          | (?P<quoted>[eE]{_ESCAPED}(?:{_GOING_ON}{_ESCAPED})* | {_PLAIN_TEXT} | "(?:[^"]|"")*"
              | \$(?P<tag>(?:[^\W\d]\w*)?)\$.*?\$(?P=tag)\$)
          | (?P<word>[^\W\d][\w$]*)
          | (?P<open>\() | (?P<close>\)) | (?P<end>;)
          | (?P<torn>['"]|\$(?:[^\W\d]\w*)?\$)
          | (?P<other>.)""",
        re.X | re.S,
    ),
    "mysql": re.compile(
        rf"""(?P<executed>/\*M?!)
          | (?P<space>{_SPACE}|\#[^\n]*|--(?=[\s\x00-\x1f]|$)[^\n]*|/\*.*?\*/)
          | (?P<quoted>'(?:[^'\\]|''|\\.)*' | "(?:[^"\\]|""|\\.)*" | `(?:[^`]|``)*`)
          | (?P<word>[^\W\d][\w$]*)
          | (?P<open>\() | (?P<close>\)) | (?P<end>;)
          | (?P<torn>['"`]|/\*)
          | (?P<other>.)""",
        re.X | re.S,
    ),
}
DATABASES = tuple(_TOKENS)
_NAME_MARKS = {"postgresql": '"', "mysql": "`"}
_COMMENT_EDGE = re.compile(r"/\*|\*/")


def one_piece(sql: str, database: str) -> str:
    """The SQL without closing semicolons and what follows them; `database` is `source.type`.

    Raises ValueError, with the mistake in words, for what is not one whole piece.
    """
    if "\0" in sql:
        raise ValueError("it holds a NUL character, which is not SQL")
    depth = 0
    end: int | None = None
    for kind, begin, _ in _tokens(sql, database):
        if kind == "end":
            end = begin if end is None else end
            if depth:
                raise ValueError("a semicolon is inside brackets: write one statement")
            continue
        if end is not None:
            raise ValueError("it holds several statements: write one")
        depth = _depth(kind, depth)
    if depth:
        raise ValueError("an opening bracket is not closed")
    return sql if end is None else sql[:end]


def names_in(sql: str, database: str) -> frozenset[str]:
    """Every word of SQL that may be the name of something in the database, in lower case: keywords,
    too, and no texts. Raises ValueError as `one_piece` does."""
    mark = _NAME_MARKS[database]
    found = set()
    for kind, begin, end in _tokens(sql, database):
        text = sql[begin:end]
        if kind == "word":
            found.add(text.lower())
        elif kind == "quoted" and text[0] == mark:
            found.add(text[1:-1].replace(mark * 2, mark).lower())
    return frozenset(found)


def _tokens(sql: str, database: str) -> Iterator[tuple[str | None, int, int]]:
    """What SQL is made of but spaces and comments: the kind, where it begins and ends. Raises
    ValueError."""
    place = 0
    while place < len(sql):
        token = _TOKENS[database].match(sql, place)
        assert token is not None  # `other` matches every character
        kind, begin, place = token.lastgroup, place, token.end()
        if kind == "nested":
            place = _after_comment(sql, place)
        elif kind != "space":
            yield "quoted" if kind == "tag" else kind, begin, place


def _depth(kind: str | None, depth: int) -> int:
    """How many brackets are open after a token."""
    if kind == "torn":
        raise ValueError("a text, a quoted name or a comment is not closed")
    if kind == "executed":
        raise ValueError("a comment of the form /*! … */ is executed by the server: leave it out")
    if kind == "close" and not depth:
        raise ValueError("a closing bracket has no opening one")
    return depth + {"open": 1, "close": -1}.get(kind or "", 0)


def _after_comment(sql: str, place: int) -> int:
    """The place after a comment of PostgreSQL's that was opened before `place`: they nest."""
    depth = 1
    while depth:
        edge = _COMMENT_EDGE.search(sql, place)
        if edge is None:
            raise ValueError("a comment is not closed")
        depth += 1 if edge[0] == "/*" else -1
        place = edge.end()
    return place
