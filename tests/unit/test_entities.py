"""Every entity that utils/entities.py declares has its part everywhere: what lacks it is named."""

from __future__ import annotations

import json
from importlib import import_module
from typing import Any

import pytest

from tests.support.places import ROOT
from tests.support.records.rows import rules
from utils import entities
from utils.config import LAYOUTS, Config, json_name
from utils.entities import (
    ENTITIES,
    ENTITY_NAMES,
    Shape,
    Undeclared,
    dependents_of,
    is_referenced,
    referrers_of,
    shape_at,
    shape_of,
)

# What lists the entities is imported where it is asked: it may not import with one too many.
ALL = pytest.mark.parametrize("shape", ENTITIES, ids=lambda shape: shape.name)


@ALL
def test_its_table_can_be_configured(shape: Shape) -> None:
    assert Config().target.table(shape.name)


@ALL
def test_its_extraction_can_be_configured(shape: Shape) -> None:
    assert Config().extraction.of(shape.name).limit is None


@ALL
def test_the_example_of_a_configuration_shows_both(shape: Shape) -> None:
    example = json.loads((ROOT / "config.json.example").read_text(encoding="utf-8"))
    assert json_name(shape.table_setting) in example["target"], "config.json.example"
    assert shape.name in example["extraction"], "config.json.example"


@ALL
def test_the_policies_name_its_table(shape: Shape) -> None:
    example = json.loads((ROOT / "config.json.example").read_text(encoding="utf-8"))
    table = example["target"].get(json_name(shape.table_setting), shape.name.capitalize())
    policies = (ROOT / "docs" / "iam-policy.json").read_text(encoding="utf-8")
    assert f":table/{table}" in policies, f"docs/iam-policy.json does not name {table}"


@ALL
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_says_where_it_is_read(layout: str, shape: Shape) -> None:
    module = import_module(f"extract.layouts.{layout}")
    declared = {entity.name: entity for entity in module.ENTITIES}
    assert shape.name in declared, f"extract/layouts/{layout}.py"
    children = declared[shape.name].children
    found, due = (each and each.name for each in (children, shape.children))
    assert found == due, f"extract/layouts/{layout}.py"


@ALL
@pytest.mark.parametrize("layout", LAYOUTS)
def test_its_rows_become_items_and_a_layout_can_adapt_them(layout: str, shape: Shape) -> None:
    texts = import_module("transform.row_to_texts")
    assert callable(texts.transform_of(shape.name, rules(layout=layout)))
    for part in filter(None, (shape.name, shape.children and shape.children.name)):
        assert import_module("transform.layout").layout_of(layout).adapter(part)
        targets = texts.column_targets(part, rules(layout=layout)).values()
        assert any("legacyId" in each for each in targets), "transform/row_to_texts.py"


@ALL
@pytest.mark.parametrize("phase", ["extract", "transform", "load"])
def test_it_has_a_module_of_its_own_in_the_phases_that_know_it(phase: str, shape: Shape) -> None:
    name = f"{phase}/{phase}_{shape.name}.py"
    assert (ROOT / name).exists(), f"{name} is not there"


@ALL
def test_its_schema_has_what_its_shape_says(shape: Shape) -> None:
    names = {shape.id_attribute, "legacyId"} | {each.attribute for each in shape.references}
    names |= {shape.sorted_by} if shape.sorted_by else set()
    if shape.children:
        names |= {shape.children.count, *dict(shape.children.sums)}
        of_child = {shape.children.id_attribute, shape.id_attribute, "legacyId"}
        lacking = of_child - set(schema_of(shape.children.schema)["required"])
        assert not lacking, f"utils/schemas/{shape.children.schema}.json does not require {lacking}"
    lacking = names - set(schema_of(shape.schema)["required"])
    assert not lacking, f"utils/schemas/{shape.schema}.json does not require {lacking}"


def schema_of(kind: str) -> dict[str, Any]:
    path = ROOT / "utils" / "schemas" / f"{kind}.json"
    assert path.exists(), f"utils/schemas/{kind}.json is not there"
    schema: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return schema


@ALL
def test_the_gate_can_judge_it(shape: Shape) -> None:
    checks = import_module("validate.gate.record_checks")
    assert checks.check_chunk([], shape.name, checks.Policy()).facts == []


@ALL
def test_its_table_has_the_indexes_of_its_references(shape: Shape) -> None:
    spec = import_module("load.entities").TABLES[shape.name]
    assert spec.entity == shape.name
    known = schema_of(shape.schema)["properties"]
    for reference in shape.references:
        index = spec.index_of(reference.index_key)
        assert index.sort_key == reference.sort_key
        assert {index.partition_key, index.sort_key} <= set(known)


@ALL
def test_the_load_knows_the_attributes_of_its_items(shape: Shape) -> None:
    load = import_module("load.writing.known_attributes")
    assert load.writers_of(shape.name, "legacyId")
    known_attributes = load.known_attributes
    assert shape.id_attribute in known_attributes(f"{shape.prefix}x", "METADATA")
    if shape.children:
        known = known_attributes(f"{shape.prefix}x", f"{shape.children.prefix}x")
        assert shape.children.id_attribute in known


@ALL
def test_what_it_names_is_migrated_before_it(shape: Shape) -> None:
    before = ENTITY_NAMES[: ENTITY_NAMES.index(shape.name)]
    assert set(shape.needs) <= set(before), "utils/entities.py"
    assert shape.sorted_by or not shape.references, "utils/entities.py: sorted_by"
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


def test_an_entity_that_the_configuration_does_not_know_names_the_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    refunds = Shape("refunds", "refund", role=("refund", "refunds"), absent="")
    monkeypatch.setitem(entities._BY_NAME, "refunds", refunds)
    with pytest.raises(Undeclared, match=r"TargetConfig \(utils/config\.py\) says nothing of ref"):
        Config().target.table("refunds")
    with pytest.raises(Undeclared, match=r"ExtractionConfig \(utils/config\.py\) says nothing of"):
        Config().extraction.of("refunds")


@pytest.mark.parametrize(
    "ask",
    [shape_of, referrers_of, dependents_of, Config().target.table, Config().extraction.of],
)
def test_an_unknown_entity_is_refused_with_the_place_that_does_not_know_it(ask: Any) -> None:
    with pytest.raises(Undeclared, match=r"^utils/entities\.py says nothing of refunds") as caught:
        ask("refunds")
    assert "How to add an entity" in caught.value.remedy


@pytest.mark.parametrize(
    ("module", "ask"),
    [
        ("validate.gate.record_checks", "judge_of"),
        ("validate.compare.table_pages", "read_table_page"),
        ("validate.patterns.pattern_samples", "Samples"),
        ("load.writing.known_attributes", "writers_of"),
        ("transform.row_to_texts", "column_targets"),
        ("transform.row_to_texts", "transform_of"),
    ],
)
def test_no_part_of_the_tool_takes_an_unknown_entity_for_another(module: str, ask: str) -> None:
    given: dict[str, tuple[Any, ...]] = {
        "read_table_page": (b'{"Items":[],"Count":0}', "refunds"),
        "Samples": ("refunds", frozenset()),
        "writers_of": ("refunds", "code"),
        "column_targets": ("refunds", rules()),
        "transform_of": ("refunds", rules()),
    }
    with pytest.raises(Undeclared, match="says nothing of refunds"):
        getattr(import_module(module), ask)(*given.get(ask, ("refunds",)))
