"""What buyers and producers have in common: both are rows of `msg_anag`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from transform.items.attributes import (
    EMPTY,
    METADATA,
    Attribute,
    AttributeValue,
    Item,
    Row,
    fill,
    single,
    targets_of,
)
from transform.items.audit import Audit
from transform.items.columns import legacy_key
from transform.rejections import Rejections, Unconvertible
from transform.rules import TransformRules
from transform.values.countries import HOME, country
from transform.values.flags import boolean
from transform.values.ids import party_id
from transform.values.text import clean, text
from transform.values.vocabularies import language

PartyKind = Literal["buyer", "producer"]

_COMPANY_NAME = (Attribute("companyName", "name", text, required=True),)
_COUNTRY = (Attribute("country", "country", country, default={"S": HOME}),)
_ACTIVE: AttributeValue = {"S": "active"}
_INACTIVE: AttributeValue = {"S": "inactive"}


class PartyTransform:
    """Turns the parties of one kind into items, by the rules of a migration."""

    def __init__(self, kind: PartyKind, own: Iterable[Attribute], rules: TransformRules) -> None:
        """`own` are the attributes that this kind has and the other does not."""
        self._kind: PartyKind = kind
        self._prefix = kind.upper()
        self._id_attribute = f"{kind}Id"
        self._generate_ids = rules.generate_ids
        self._id_scope = rules.id_scope
        self._attributes = (*_common_attributes(rules), *own)
        self._audit = Audit(rules)

    @property
    def attributes(self) -> tuple[Attribute, ...]:
        """What is made of one column each, apart from the name."""
        return (*_COUNTRY, *self._attributes)

    @property
    def targets(self) -> dict[str, str]:
        """What the columns of a party become."""
        return {
            "first_id": f"legacyId,{self._id_attribute}",
            "enabled": "status",
            **targets_of((*_COMPANY_NAME, *_COUNTRY, *self._attributes)),
            **self._audit.targets,
        }

    def item(self, row: Row) -> Item:
        """Return the item of a party. Raises RejectedRecord."""
        rejections = Rejections()
        first_id = legacy_key(row, "first_id", rejections) or 0
        item = self._head(row, first_id, rejections)
        fill(item, row, self._attributes, rejections)
        item.update(self._audit.attributes(row, rejections))
        rejections.raise_if_any()
        return item

    def _head(self, row: Row, first_id: int, rejections: Rejections) -> Item:
        identifier = party_id(self._kind, first_id, self._generate_ids, self._id_scope)
        name = single(row, _COMPANY_NAME, rejections)
        land = single(row, _COUNTRY, rejections)
        status = _status(row, rejections)
        legacy_id: AttributeValue = {"S": str(first_id)}
        return {
            "PK": {"S": f"{self._prefix}#{identifier}"},
            "SK": METADATA,
            "GSI1PK": {"S": f"STATUS#{status['S']}"},
            "GSI1SK": name,
            "GSI2PK": {"S": f"COUNTRY#{land['S']}"},
            "GSI2SK": name,
            self._id_attribute: {"S": identifier},
            "legacyId": legacy_id,
            # Stays where the party has no code of its own.
            "code": legacy_id,
            "companyName": name,
            "country": land,
            "status": status,
        }


def _common_attributes(rules: TransformRules) -> tuple[Attribute, ...]:
    def operator(value: object) -> AttributeValue | None:
        name = clean(value)
        return {"S": rules.user_mapping.get(name, name)} if name else None

    return (
        Attribute("code", "code", text),
        Attribute("subName", "sub_name", text),
        Attribute("vatNumber", "vat_number", text, default=EMPTY),
        Attribute("fiscalCode", "fiscal_code", text, default=EMPTY),
        Attribute("sdi", "sdi_code", text),
        Attribute("pec", "pec", text),
        Attribute("address", "address", text, default=EMPTY),
        Attribute("poBox", "po_box", text),
        Attribute("city", "city", text, default=EMPTY),
        Attribute("province", "province", text, default=EMPTY),
        Attribute("postalCode", "postal_code", text, default=EMPTY),
        Attribute("email", "email", text),
        Attribute("phone", "phone", text),
        Attribute("fax", "fax", text),
        Attribute("website", "website", text),
        Attribute("mainContact", "main_contact", text),
        Attribute("notes", "notes", text),
        Attribute("bankDetails", "bank_details", text),
        Attribute(
            "preferredLanguage",
            "preferred_language",
            language,
            default={"S": rules.default_language},
        ),
        Attribute("defaultOperator", "default_operator", operator),
    )


def _status(row: Row, rejections: Rejections) -> AttributeValue:
    try:
        enabled = boolean(row.get("enabled"))
    except Unconvertible as problem:
        rejections.add_value("enabled", problem)
        return _INACTIVE
    if enabled is None:
        rejections.add_missing("enabled")
    return _ACTIVE if enabled else _INACTIVE
