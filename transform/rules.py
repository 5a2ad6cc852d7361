"""What a transform may depend on besides the row: the configured rules, as one value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Placeholder:
    """The party that stands in where a sale names none: its key in S9, its name and country."""

    key: int
    name: str
    country: str


@dataclass(frozen=True, kw_only=True)
class TransformRules:
    """The settings under `transformation`, with `source.timezone`.

    `migration_timestamp` is `YYYY-MM-DDTHH:mm:ss.sssZ`; it stands in for timestamps that S9 lacks.
    `user_mapping` leads from an S9 user to the target's, `status_mapping` from further status words
    of S9 to a target status. `timezone` is an IANA name, `layout` one of utils.config.LAYOUTS and
    `id_scope` what stands before every name that an id is made of there. `placeholders` has the
    party for each kind (buyer, producer) that may be missing. `default_document` is the document
    type of a sale without one ("" leaves it without), `issued_statuses` are S9's own words
    (lower-case) for sales whose invoice was issued, where a layout has no column for that.
    `updated_at`, if there is one, takes the place of S9's time of the last change in every item.
    The value is picklable and hashable, so it crosses to worker processes and keys the caches of
    what is derived from it; the mappings must not be changed afterwards.
    """

    generate_ids: bool
    preserve_timestamps: bool
    default_currency: str
    default_language: str
    migration_user: str
    migration_timestamp: str
    user_mapping: Mapping[str, str]
    status_mapping: Mapping[str, str]
    timezone: str
    layout: str = "s9"
    id_scope: str = ""
    placeholders: Mapping[str, Placeholder] = field(default_factory=dict)
    fractions_above_one: str = "quarantine"
    default_document: str = ""
    issued_statuses: frozenset[str] = frozenset()
    updated_at: str = ""

    def __hash__(self) -> int:
        """Mappings have no hash; one string is enough, since equality compares everything."""
        return hash(self.migration_timestamp)
