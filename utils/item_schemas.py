"""The attributes of each kind of item, as the Sale Module takes them: declared once.

utils/schemas/*.json are JSON Schemas (draft 2020-12) over the DynamoDB JSON of an item. All that
has to know attributes reads them there: the gate judges items by them and recognises the usual
ones by patterns made from them, the load names them in its conditions and checks the keys of
further indexes against them. One thing is in them that JSON Schema does not know: `severalLines`
marks the texts in which a line break is no mistake.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

import orjson

from utils.entities import ENTITIES

KINDS = tuple(
    each.schema for shape in ENTITIES for each in (shape, shape.children) if each is not None
)
VALUES = "values"  # the file of the kinds of values that attributes have in common
LEGACY = "legacy"  # the attribute for what has no place of its own

_DIRECTORY = files("utils") / "schemas"  # also where the code is a zip
_LENGTHS = frozenset({"type", "description", "minLength", "maxLength"})

Type = Literal["S", "N", "BOOL", "M"]


@dataclass(frozen=True)
class Declared:
    """What a schema says of one attribute.

    `value` names the kind of its value (values.json), "" where it has a form of its own. `type` is
    DynamoDB's, `form` the schema of what stands behind it, with the attribute's own limits, if it
    `has_limits`.
    """

    name: str
    title: str
    value: str
    type: Type
    form: Mapping[str, Any]
    has_limits: bool
    required: bool
    several_lines: bool

    @property
    def is_free(self) -> bool:
        """Whether it is a text of which nothing is said but how long it may be."""
        return self.type == "S" and self.form.keys() <= _LENGTHS

    @property
    def may_be_empty(self) -> bool:
        """Whether it is a text that is "" where S9 does not know it."""
        return self.is_free and "minLength" not in self.form

    @property
    def longest(self) -> int | None:
        """How many characters the Sale Module takes; None when that is not said."""
        longest: int | None = self.form.get("maxLength")
        return longest


@cache
def schema(kind: str) -> dict[str, Any]:
    """The schema of a kind of item, or of the values, parsed."""
    parsed: dict[str, Any] = orjson.loads((_DIRECTORY / f"{kind}.json").read_bytes())
    return parsed


@cache
def declared(kind: str) -> Mapping[str, Declared]:
    """The attributes of a kind of item by their names, in the order of the schema."""
    required = frozenset(schema(kind)["required"])
    return {
        name: _declared(name, own, required=name in required)
        for name, own in schema(kind)["properties"].items()
    }


def _declared(name: str, own: Mapping[str, Any], *, required: bool) -> Declared:
    value = own.get("$ref", "").rpartition("/")[2]
    shape = schema(VALUES)["$defs"][value] if value else own
    ((written, form),) = shape["properties"].items()
    limits = own.get("properties", {}).get(written, {})
    return Declared(
        name,
        title=own["title"],
        value=value,
        type=written,
        form={**form, **limits},
        has_limits=bool(limits),
        required=required,
        several_lines=own.get("severalLines", False),
    )
