"""Texts that were damaged on their way: decoded wrongly, or with characters nobody can see.

Two steps, because nearly every line is clean: `may_be_damaged` looks at the bytes of a line and
costs next to nothing, `text_notes` looks at each value of the few lines that remain.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from utils.item_schemas import KINDS, declared
from validate.rules.catalogue import Note
from validate.rules.checks import Check, Record
from validate.rules.record_items import HUGE

# In all other texts a line break or tab breaks what is printed.
_SEVERAL_LINES = frozenset(
    name for kind in KINDS for name, text in declared(kind).items() if text.several_lines
)
_ESCAPED_CONTROL = re.compile(rb'\\[^"\\/]')
# What wrongly decoded text begins with: C1 control characters and U+FFFD, and of the letters that
# begin with C3 the second bytes of Â, Ã, â and ð.
_SUSPECT = re.compile(rb"\xc2[\x80-\x9f]|\xef\xbf\xbd")
_SUSPECT_LETTERS = b"\x82\x83\xa2\xb0"
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_CONTROL_WITHIN_LINES = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")

# What Windows-1252 shows for the bytes 80 to BF, the later bytes of a UTF-8 character. Only those
# first bytes count that begin a Western European letter (C2, C3), a typographic sign (E2) or an
# emoji (F0 9F): more would take "CAFFÈ»" for damage.
_LATER = r"[\x80-\xbf€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ]"
_GARBLED = re.compile(
    rf"[ÂÃ]{_LATER}"
    rf"|â[\x80-\x84€‚ƒ„]{_LATER}"
    rf"|ð(?:\x9f|Ÿ){_LATER}"
    # À and à end in a no-break space when decoded wrongly, and trimming may have taken it away.
    r"|(?<=[a-zà-ÿ])Ã(?=\s|$)"
    r"|\ufffd"
)


def may_be_damaged(line: bytes) -> bool:
    """Whether `text_notes` has to look at an item, judged by its line of JSON.

    False only when none of its texts can hold what those rules look for.
    """
    if b"\\" in line and _ESCAPED_CONTROL.search(line):
        return True
    if b"\x7f" in line:
        return True
    if line.isascii():
        return False
    if (b"\xc2" in line or b"\xef" in line) and _SUSPECT.search(line):
        return True
    letter = line.find(b"\xc3")
    while letter >= 0:
        if line[letter + 1 : letter + 2] in _SUSPECT_LETTERS:
            return True
        letter = line.find(b"\xc3", letter + 2)
    return False


def text_notes(item: dict[str, Any], prefix: str = "") -> Iterator[Note]:
    """The texts of an item that are damaged; `prefix` goes before the attribute's name."""
    for name, value in item.items():
        text = value.get("S") if isinstance(value, dict) else None
        if not isinstance(text, str) or name.startswith("GSI"):  # index keys repeat attributes
            continue
        control = _CONTROL_WITHIN_LINES if name in _SEVERAL_LINES else _CONTROL
        if match := control.search(text):
            message = f"{name} holds the control character U+{ord(match[0]):04X}"
            yield Note(prefix + name, "control-characters", message)
        if _GARBLED.search(text):
            message = (
                f"{name} was decoded with the wrong character set before it reached S9 (as "
                "Ã¨ for è)"
            )
            yield Note(prefix + name, "garbled-text", message)


def _of_record(record: Record) -> Iterator[Note]:
    # In one piece it is quicker, unless that is a large one.
    lines = [b"".join(record.lines)] if len(record.lines) < HUGE else record.lines
    if any(map(may_be_damaged, lines)):
        for position, item in enumerate(record.items):
            yield from text_notes(item, f"lines[{position}]." if position else "")


CHECKS = (Check(frozenset({"garbled-text", "control-characters"}), _of_record, business=True),)
