"""The mapping in a few lines says what an operator has to look at, and how much it leaves out."""

from __future__ import annotations

from typing import Any

from utils.plan.mapping import mapping_text

APPLIED: dict[str, Any] = {
    "defaults": {"currency = EUR": 12, "lines.discount = 0": 40},
    "repairs": {f"a{n}: another spelling": n for n in range(1, 9)},
    "statuses": {"bozza": {"to": "draft", "count": 3}, "perso": {"to": None, "count": 1}},
    "users": {"ro…~1": {"to": "x", "count": 2}, "ve…~2": {"to": "x", "count": 5}},
    "times": {"suspicions": ["they may be UTC"]},
}
REPORT: dict[str, Any] = {
    "entities": {
        "buyers": {"anag": {"columns": {"a": "b", "c": None}, "onlyInExtracted": ["c"]}},
        "producers": {"anag": {"columns": {"a": None, "c": "d"}, "onlyInExtracted": ["a"]}},
        "sales": {
            "msg": {"columns": {"a": "b", "c": None}, "onlyInExtracted": ["c"], "unknown": ["c"]},
        },
    },
    "applied": {"sales": APPLIED},
}


def test_the_highlights() -> None:
    assert mapping_text(REPORT).splitlines() == [
        "Mapping (all of it in mapping_report.json): 4 columns of 2 tables; 1 without a place in "
        "the target (data/extracted has them): msg.c",
        "  columns that nobody knows: msg.c",
        "  defaults: lines.discount = 0 of sales (40), currency = EUR of sales (12)",
        "  repairs: a8: another spelling of sales (8), a7: another spelling of sales (7), a6: "
        "another spelling of sales (6), a5: another spelling of sales (5), a4: another spelling "
        "of sales (4), a3: another spelling of sales (3) and 2 more",
        "  statuses of sales: perso (1) is not known, bozza (3) becomes draft",
        "  users of sales: 2 users of S9 to x",
        "  times of sales: they may be UTC (source.timezone)",
    ]
    assert mapping_text({}) == ""
