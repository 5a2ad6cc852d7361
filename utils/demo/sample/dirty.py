"""The catalogue of dirty rows: every kind that the sample data contain, and what is expected.

It holds what rows of real S9 databases look like. One thing of theirs is missing: text with NUL
characters, which PostgreSQL does not store (MySQL does). `catalogue()` is what a report or a
document lists.
"""

from __future__ import annotations

from utils.demo.sample.dirt import DirtyKind
from utils.demo.sample.dirty_parties import DIRTY_BUYERS, DIRTY_PRODUCERS
from utils.demo.sample.dirty_sales import DIRTY_SALES

# The smallest sample that contains every kind: each once, and at least one clean row beside.
MINIMUM = (len(DIRTY_BUYERS) + 1, len(DIRTY_PRODUCERS) + 1, len(DIRTY_SALES) + 2)


def catalogue() -> tuple[DirtyKind, ...]:
    """All kinds, of buyers, producers and sales in this order. Key and entity name a kind."""
    return (*DIRTY_BUYERS, *DIRTY_PRODUCERS, *DIRTY_SALES)
