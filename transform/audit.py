"""Who made an item and when: the four attributes that every item carries."""

from __future__ import annotations

from transform.attributes import AttributeValue, Item, Row
from transform.rejections import Rejections, Unconvertible
from transform.rules import TransformRules
from transform.text import clean
from transform.timestamps import LocalClock

_NAMES = ("createdAt", "updatedAt", "createdBy", "updatedBy")
Stamp = tuple[AttributeValue, AttributeValue, AttributeValue, AttributeValue]
"""createdAt, updatedAt, createdBy, updatedBy."""


class Audit:
    """Converts created_at, updated_at, created_by and updated_by by the rules of a migration."""

    def __init__(self, rules: TransformRules) -> None:
        self._to_utc = LocalClock(rules.timezone).to_utc
        self._preserve = rules.preserve_timestamps
        self._migration_time: AttributeValue = {"S": rules.migration_timestamp}
        self._migration_user: AttributeValue = {"S": rules.migration_user}
        self._users: dict[str, AttributeValue] = {
            user: {"S": target} for user, target in rules.user_mapping.items()
        }

    def of(self, row: Row, rejections: Rejections) -> Stamp:
        """Return createdAt, updatedAt, createdBy and updatedBy of the item made of `row`.

        Of two timestamps, the one that is there stands in for the one that is not: the creation is
        no later than a change, and a row never changed was last written when it was created. With
        neither, or with `preserveTimestamps: false`, both are the migration's own.
        """
        get = row.get
        created = updated = None
        if self._preserve:
            created = self._time("created_at", get("created_at"), rejections)
            updated = self._time("updated_at", get("updated_at"), rejections)
        creator, changer = get("created_by"), get("updated_by")
        user = self._migration_user
        return (
            created or updated or self._migration_time,
            updated or created or self._migration_time,
            user if creator is None else self._user("created_by", creator, rejections),
            user if changer is None else self._user("updated_by", changer, rejections),
        )

    def attributes(self, row: Row, rejections: Rejections) -> Item:
        """Return the four attributes by name. They are those of `of`."""
        return dict(zip(_NAMES, self.of(row, rejections), strict=True))

    def _time(self, column: str, value: object, rejections: Rejections) -> AttributeValue | None:
        try:
            utc = self._to_utc(value)
        except Unconvertible as problem:
            rejections.add_value(column, problem)
            return None
        return {"S": utc} if utc else None

    def _user(self, column: str, value: object, rejections: Rejections) -> AttributeValue:
        try:
            return self._users.get(clean(value), self._migration_user)
        except Unconvertible as problem:
            rejections.add_value(column, problem)
            return self._migration_user
