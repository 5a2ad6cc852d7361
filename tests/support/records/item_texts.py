"""Items of every type, as hypothesis makes them, and the ways to write them down."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

Item = dict[str, dict[str, Any]]
# Texts with everything that could be taken for the end of an attribute or of an item.
TRICKY = st.lists(
    st.sampled_from(
        [
            *('},"', '":{"', '"', "}", ",", "\\", ":{", "{", "x", "è", "\n", "😀", '"N":"', " "),
            *("},", "}},{", "}}]", "}}", ":", "]", "[", '"M":', '"N":"1.0"', '"Items":[{"'),
        ]
    ),
    max_size=6,
).map("".join)
TEXTS = st.text(st.characters(exclude_categories=["Cs"])) | TRICKY
NUMBERS = st.one_of(
    st.integers(-(10**20), 10**20).map(str),
    st.decimals(allow_nan=False, allow_infinity=False, places=4).map(str),
    st.sampled_from(["25.50", "1E+2", "1e-7", "-0", "007", "0.10", "-0.5", ".5", "5."]),
)
FLAT = st.one_of(
    TEXTS.map(lambda text: {"S": text}),
    NUMBERS.map(lambda number: {"N": number}),
    st.booleans().map(lambda flag: {"BOOL": flag}),
    st.just({"NULL": True}),
    st.sets(st.sampled_from("abc"), min_size=1).map(lambda members: {"SS": sorted(members)}),
)
NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9_]{0,6}", fullmatch=True) | TEXTS.filter(bool)
VALUES = st.recursive(
    FLAT,
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda members: {"L": members})
        | st.dictionaries(NAMES, inner, max_size=3).map(lambda members: {"M": members})
    ),
    max_leaves=4,
)
ITEMS = st.dictionaries(NAMES, FLAT, min_size=1, max_size=8) | st.dictionaries(
    NAMES, VALUES, min_size=1, max_size=5
)
SPACING = st.sampled_from([(",", ":"), (", ", ": "), (",", ": "), (", ", ":"), (",\n", ":")])
