"""All kinds: whoever imports this has them all in the catalogue."""

from __future__ import annotations

from tests.support.damage.catalogue import DAMAGES, HARMLESS, Kind
from tests.support.damage.kinds import (  # noqa: F401
    by_the_application,
    declared,
    doubles,
    losses,
    mixed_up,
    values,
)

__all__ = ["DAMAGES", "HARMLESS", "Kind"]
