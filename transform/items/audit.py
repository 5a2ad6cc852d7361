"""Who made an item and when: the four attributes that every item carries."""

from __future__ import annotations

from collections.abc import Callable
from typing import AnyStr, Generic

from transform.items.attribute_text import Texts
from transform.items.attributes import Attribute, AttributeValue, Item, Row, fill, targets_of
from transform.rejections import Rejections, Unconvertible
from transform.rules import TransformRules
from transform.values.text import clean
from transform.values.timestamps import local_clock

_CREATED, _UPDATED = ',"createdAt":{"S":"%s"}%s', ',"updatedAt":{"S":"%s"}%s'

StampTexts = tuple[AnyStr, AnyStr]
"""The texts of when and by whom an item was created, and of when and by whom it was changed."""


class Stamps(Generic[AnyStr]):
    """Which times an item gets, of what S9 has (empty or None where it has nothing).

    Of two timestamps, the one that is there stands in for the one that is not: the creation is no
    later than a change, and a row never changed was last written when it was created. With neither,
    or with `preserveTimestamps: false` (then S9's are not read), both are the migration's own. With
    `updatedAt: migration` the change is the migration, and S9's time of it is only looked at.
    """

    def __init__(self, text: Callable[[str], AnyStr], rules: TransformRules) -> None:
        """`text` makes a text of the reader's type."""
        self.are_read = rules.preserve_timestamps
        self._migration_time: AnyStr = text(rules.migration_timestamp)
        self._updated_at: AnyStr = text(rules.updated_at)
        self._created: AnyStr = text(_CREATED)
        self._updated: AnyStr = text(_UPDATED)

    def times(self, created: AnyStr | None, updated: AnyStr | None) -> tuple[AnyStr, AnyStr]:
        """When an item was created, and when it was changed last."""
        return (
            created or updated or self._migration_time,
            self._updated_at or updated or created or self._migration_time,
        )

    def texts(
        self, created: AnyStr | None, updated: AnyStr | None, who: StampTexts[AnyStr]
    ) -> StampTexts[AnyStr]:
        """The same as texts, with those of `who`: `,"createdAt":{"S":"..."},...`."""
        created, updated = self.times(created, updated)
        return self._created % (created, who[0]), self._updated % (updated, who[1])


class Audit:
    """Converts created_at, updated_at, created_by and updated_by by the rules of a migration."""

    def __init__(self, rules: TransformRules) -> None:
        self._to_utc = local_clock(rules.timezone).to_utc
        self._stamps: Stamps[str] = Stamps(str, rules)
        self._migration_user: AttributeValue = {"S": rules.migration_user}
        self._users: dict[str, AttributeValue] = {
            user: {"S": target} for user, target in rules.user_mapping.items()
        }
        self.who = (
            Attribute("createdBy", "created_by", self._user, default=self._migration_user),
            Attribute("updatedBy", "updated_by", self._user, default=self._migration_user),
        )
        self._who_texts = Texts(self.who, remember=True)

    @property
    def targets(self) -> dict[str, str]:
        """What the columns become."""
        return {"created_at": "createdAt", "updated_at": "updatedAt", **targets_of(self.who)}

    def attributes(self, row: Row, rejections: Rejections) -> Item:
        """Return createdAt, updatedAt, createdBy and updatedBy of the item made of `row`."""
        created, updated = self._stamps.times(*self._read(row, rejections))
        item: Item = {"createdAt": {"S": created}, "updatedAt": {"S": updated}}
        fill(item, row, self.who, rejections)
        return item

    def texts(self, row: Row, rejections: Rejections) -> StampTexts[str]:
        """Return the same attributes as texts."""
        created, updated = self._read(row, rejections)
        creator, changer = self._who_texts.of(row, rejections)
        return self._stamps.texts(created, updated, (creator, changer))

    def _read(self, row: Row, rejections: Rejections) -> tuple[str | None, str | None]:
        """S9's two timestamps."""
        if not self._stamps.are_read:
            return None, None
        created_at, updated_at = row.get("created_at"), row.get("updated_at")
        created = self._time("created_at", created_at, rejections)
        if created and updated_at == created_at:  # never changed
            return created, created
        return created, self._time("updated_at", updated_at, rejections)

    def _time(self, column: str, value: object, rejections: Rejections) -> str | None:
        try:
            return self._to_utc(value)
        except Unconvertible as problem:
            rejections.add_value(column, problem)
            return None

    def _user(self, value: object) -> AttributeValue:
        return self._users.get(clean(value), self._migration_user)
