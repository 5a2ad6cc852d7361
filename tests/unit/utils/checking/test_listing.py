"""The list says with words what it says with signs and colours."""

from __future__ import annotations

from utils.checking.check import MACHINE, SOURCE, Check, State
from utils.checking.listing import lines

CHECKS = [
    Check(SOURCE, "table msg", State.OK, "can be read"),
    Check(SOURCE, "TLS", State.WARNING, "not used", "set source.ssl to true"),
    Check(SOURCE, "table msg_line", State.FAILED, "a name\nfrom \x1b[31moutside", "do this"),
    Check(MACHINE, "memory", State.SKIPPED, "nobody says"),
]


def test_a_plain_list_has_words_only() -> None:
    assert lines(CHECKS, color=False, signs=False) == [
        "S9",
        "  ok             table msg: can be read",
        "  warning        TLS: not used",
        "                 What to do: set source.ssl to true",
        "  failed         table msg_line: a name\n  from \\x1b[31moutside",
        "                 What to do: do this",
        "",
        "This machine",
        "  not looked at  memory: nobody says",
    ]


def test_signs_and_colours_are_beside_the_words() -> None:
    shown = lines(CHECKS, color=True, signs=True)
    assert shown[1] == "  \x1b[32m✓ ok           \x1b[0m  table msg: can be read"
    assert shown[4] == (
        "  \x1b[31m✗ failed       \x1b[0m  table msg_line: a name\n  from \\x1b[31moutside"
    )


def test_quiet_lists_what_is_not_as_it_should_be() -> None:
    shown = lines(CHECKS, color=False, signs=False, quiet=True)
    assert [line.split(":")[0].split()[-1] for line in shown if line.startswith("  ")] == [
        "TLS",
        "do",
        "msg_line",
        "do",
    ]
