"""A rehearsal of a part (`--limit`): the first records of whatever nobody else's records name, and
all of the others, because these need them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from utils.config import Config
from utils.entities import ENTITY_NAMES, is_referenced
from utils.run.run import Run


@dataclass(frozen=True)
class Part:
    """So many records of an entity were read, of how many there would be without the limit."""

    entity: str
    read: int
    of: int

    @property
    def scale(self) -> dict[str, float]:
        """Of how many times as many records as were read figures are to speak, by entity."""
        return {self.entity: self.of / self.read}

    def as_json(self) -> dict[str, Any]:
        return {"entity": self.entity, "read": self.read, "of": self.of}


def limited(config: Config, limit: int | None) -> Config:
    """The configuration of a rehearsal of the first `limit` sales, with all parties; a lower limit
    that is configured stays."""
    if limit is None:
        return config
    extraction = config.extraction
    for name in ENTITY_NAMES:
        if not is_referenced(name):
            own = extraction.of(name)
            lowest = min(limit, own.limit or limit)
            narrowed: dict[str, Any] = {name: replace(own, limit=lowest)}
            extraction = replace(extraction, **narrowed)
    return replace(config, extraction=extraction)


def part_of(run: Run, config: Config) -> Part | None:
    """Of which part a rehearsal speaks; None when it is of all that `config`, which has no limit of
    the rehearsal's own, selects."""
    for entity in ENTITY_NAMES:
        own, limit = config.extraction.of(entity).limit, run.config.extraction.of(entity).limit
        entry = run.manifest.phase("extract", entity)
        if own == limit or entry is None:
            continue
        table = entry.result.get("table") or {}
        left = table.get("notSelected", {}).get(f"extraction.{entity}.limit", 0)
        read = table.get("selected", 0)
        of = min(read + left, own or read + left)
        if read and of > read:
            return Part(entity, read, of)
    return None
