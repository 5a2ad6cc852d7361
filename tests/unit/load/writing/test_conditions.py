"""The condition that an item is still what it was: which attributes it names, and its limits."""

from __future__ import annotations

import orjson
import pytest

from load.writing.conditions import unchanged
from load.writing.known_attributes import (
    MAY_BE_EMPTY,
    MAY_BE_LONG,
    known_attributes,
    type_of,
    writers_of,
)
from tests.support.places import ROOT

SCHEMAS = ROOT / "validate" / "schemas"
KINDS = {
    "buyer": ("BUYER#1", "METADATA"),
    "producer": ("PRODUCER#1", "METADATA"),
    "sale": ("SALE#1", "METADATA"),
    "sale_line": ("SALE#1", "LINE#1"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_known_attributes_are_those_of_the_schema(kind: str) -> None:
    schema = orjson.loads((SCHEMAS / f"{kind}.json").read_bytes())
    known = known_attributes(*KINDS[kind])
    assert set(schema["properties"]) - {"PK", "SK"} == known - {"deletedAt", "ttl"}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_said_of_the_attributes_is_what_the_schema_says(kind: str) -> None:
    values = orjson.loads((SCHEMAS / "values.json").read_bytes())["$defs"]
    schema = orjson.loads((SCHEMAS / f"{kind}.json").read_bytes())
    entity = {"sale_line": "sales"}.get(kind, f"{kind}s")
    for name, own in schema["properties"].items():
        shape = values[own["$ref"].rpartition("/")[2]] if "$ref" in own else own
        ((written, inner),) = shape["properties"].items()
        inner = {**inner, **own.get("properties", {}).get(written, {})}
        fixed = inner.keys() & {"pattern", "enum", "const"}
        assert type_of(entity, name) == written, name
        assert writers_of(entity, name), name
        empty = written == "S" and not fixed and "minLength" not in inner
        assert (name in MAY_BE_EMPTY) == empty, name
        if written == "S" and not fixed and 4 * inner.get("maxLength", 1024) > 1024:
            assert name in MAY_BE_LONG, name
    assert not writers_of(entity, "deletedAt")


@pytest.mark.parametrize("kind", KINDS)
def test_the_condition_of_an_item_with_every_attribute_or_none_fits(kind: str) -> None:
    pk, sk = KINDS[kind]
    key = {"PK": {"S": pk}, "SK": {"S": sk}}
    whole = {name: {"S": "x"} for name in known_attributes(pk, sk)} | key
    for item in (key, whole):
        condition = unchanged(item)
        assert condition is not None
        assert len(condition.expression) <= 4096
        assert set(condition.names.values()) == known_attributes(pk, sk) | {"PK"}


def test_an_item_with_too_many_attributes_has_no_condition() -> None:
    key = {"PK": {"S": "SALE#1"}, "SK": {"S": "METADATA"}}
    assert unchanged({**key, **{f"a{n}": {"S": "x"} for n in range(200)}}) is None
