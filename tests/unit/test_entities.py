"""Every entity that utils/entities.py declares has its part everywhere: what lacks it is named."""

from __future__ import annotations

import json
from typing import Any

import pytest

from extract.entities import entities_of
from load.entities import TABLES
from load.writing.known_attributes import known_attributes, writers_of
from tests.support.places import ROOT
from tests.support.records.rows import rules
from transform.layout import layout_of
from transform.row_to_texts import column_targets, transform_of
from utils import entities
from utils.config import LAYOUTS, Config, TargetConfig, json_name
from utils.entities import (
    ENTITIES,
    ENTITY_NAMES,
    Shape,
    Undeclared,
    dependents_of,
    is_referenced,
    part_of,
    referrers_of,
    shape_at,
    shape_of,
)
from validate.gate.record_checks import Policy, check_chunk
from validate.verify.access_patterns import PATTERNS

ALL = pytest.mark.parametrize("shape", ENTITIES, ids=lambda shape: shape.name)


@ALL
def test_its_table_and_its_extraction_can_be_configured(shape: Shape) -> None:
    config = Config()
    table = config.target.table(shape.name)
    assert config.extraction.of(shape.name).limit is None
    example = json.loads((ROOT / "config.json.example").read_text(encoding="utf-8"))
    assert example["target"].get(json_name(shape.table_setting)) == table, "config.json.example"
    assert shape.name in example["extraction"], "config.json.example"
    policies = (ROOT / "docs" / "iam-policy.json").read_text(encoding="utf-8")
    assert f":table/{table}" in policies, f"docs/iam-policy.json does not name {table}"


@ALL
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_says_where_it_is_read_and_what_it_means(layout: str, shape: Shape) -> None:
    declared = entities_of(layout)[shape.name]
    children = shape.children.name if shape.children else None
    found = declared.children.name if declared.children else None
    assert found == children, f"extract/layouts/{layout}.py"
    for part in filter(None, (shape.name, children)):
        assert layout_of(layout).adapter(part)
        targets = column_targets(part, rules(layout=layout))
        assert "legacyId" in targets.get("first_id", "") or part == children


@ALL
def test_it_is_transformed(shape: Shape) -> None:
    assert callable(transform_of(shape.name, rules()))


@ALL
def test_the_gate_judges_it_by_its_schema(shape: Shape) -> None:
    assert check_chunk([], shape.name, Policy()).facts == []
    item = schema_of(shape.schema)
    names = [each.attribute for each in shape.references]
    names += [shape.id_attribute, "legacyId", *filter(None, [shape.sorted_by])]
    if shape.children:
        names += [shape.children.count, *(name for name, _ in shape.children.sums)]
        child = schema_of(shape.children.schema)
        lacking = {shape.children.id_attribute, shape.id_attribute} - set(child["required"])
        assert not lacking, f"{shape.children.schema}.json does not require {lacking}"
    lacking = set(names) - set(item["required"])
    assert not lacking, f"{shape.schema}.json does not require {lacking}"


def schema_of(kind: str) -> dict[str, Any]:
    (path,) = (*ROOT.glob(f"*/schemas/{kind}.json"), None)[:1]
    assert path, f"there is no schema {kind}.json"
    schema: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return schema


@ALL
def test_it_is_loaded_under_known_attributes_with_the_indexes_that_it_needs(shape: Shape) -> None:
    spec = TABLES[shape.name]
    for reference in shape.references:
        index = spec.index_of(reference.index_key)
        assert {index.partition_key, index.sort_key} <= set(schema_of(shape.schema)["properties"])
    assert writers_of(shape.name, "legacyId")
    known = known_attributes(f"{shape.prefix}x", "METADATA")
    assert shape.id_attribute in known, "load/writing/known_attributes.py"
    if shape.children:
        known = known_attributes(f"{shape.prefix}x", f"{shape.children.prefix}x")
        assert shape.children.id_attribute in known, "load/writing/known_attributes.py"


@ALL
def test_its_access_patterns_are_declared(shape: Shape) -> None:
    assert callable(part_of(PATTERNS, shape.name, "validate/verify/access_patterns.py"))


@ALL
def test_what_it_names_is_migrated_before_it(shape: Shape) -> None:
    before = ENTITY_NAMES[: ENTITY_NAMES.index(shape.name)]
    assert set(shape.needs) <= set(before), "utils/entities.py"
    assert bool(shape.sorted_by) >= bool(shape.references), "utils/entities.py: sorted_by"
    for name in shape.needs:
        assert is_referenced(name)
        assert shape.name in dependents_of(name)
        assert shape in [user for user, _ in referrers_of(name)]


def test_no_two_entities_have_a_name_or_a_prefix_in_common() -> None:
    for names in zip(*((each.name, each.singular) for each in ENTITIES), strict=True):
        assert len(set(names)) == len(names)
    children = [each.children.prefix for each in ENTITIES if each.children]
    assert not {each.prefix for each in ENTITIES} & set(children)
    assert [shape_at(f"{each.prefix}1") for each in ENTITIES] == list(ENTITIES)
    assert shape_at("MIGRATION#LOCK") is None


@pytest.mark.parametrize(
    "ask",
    [
        shape_of,
        referrers_of,
        Config().target.table,
        Config().extraction.of,
        layout_of("s9").adapter,
        lambda name: column_targets(name, rules()),
        lambda name: check_chunk([], name, Policy()),
    ],
)
def test_an_unknown_entity_is_refused_with_the_place_that_does_not_know_it(ask: Any) -> None:
    with pytest.raises(Undeclared, match=r"says nothing of the entity 'refunds'.*sales") as caught:
        ask("refunds")
    assert "How to add an entity" in caught.value.remedy


def test_an_entity_without_a_table_in_the_configuration_names_the_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    refund = Shape("refunds", "refund", role=("refund", "refunds"), absent="")
    monkeypatch.setitem(entities._BY_NAME, "refunds", refund)
    with pytest.raises(Undeclared, match=r"TargetConfig \(utils/config.py\) says nothing of"):
        TargetConfig().table("refunds")
