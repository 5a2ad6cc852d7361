"""Ids: the same row has the same id in every run."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transform.values.ids import NAMESPACE, line_id, party_id, sale_id, uuid_of

keys = st.integers(-(2**63), 2**63 - 1)


@given(st.text(alphabet=st.characters(max_codepoint=127)))
def test_an_id_is_the_standard_uuid_of_its_name(name: str) -> None:
    assert uuid_of(name) == str(uuid.uuid5(NAMESPACE, name))


@given(keys)
def test_ids_are_version_5_uuids_of_kind_and_key(key: int) -> None:
    for identifier, name in (
        (party_id("buyer", key, True), f"buyer:{key}"),
        (party_id("producer", key, True), f"producer:{key}"),
        (sale_id(key, True), f"sale:{key}"),
        (line_id(key, True), f"line:{key}"),
    ):
        assert identifier == str(uuid.uuid5(NAMESPACE, name))
        assert uuid.UUID(identifier).version == 5
        assert uuid.UUID(identifier).variant == uuid.RFC_4122


def test_ids_never_change() -> None:
    # Written down from a first run: another value would double every migrated table.
    assert party_id("buyer", 12, True) == "99c3cacd-1d63-5ba6-8bdb-51318942684c"
    assert party_id("producer", 12, True) == "b1396f27-950d-5cfb-a70d-985a9f5565a1"
    assert sale_id(12, True) == "d926ef31-1a15-5639-9937-ca3ecad1588d"
    assert line_id(34, True) == "7f6bc91a-74fe-5d9b-b521-236fa62c92c3"


@pytest.mark.parametrize("generate", [True, False])
def test_one_number_in_four_tables_gives_four_ids(generate: bool) -> None:
    ids = {
        party_id("buyer", 12, generate),
        party_id("producer", 12, generate),
        sale_id(12, generate),
        line_id(12, generate),
    }
    assert len(ids) == 4


def test_without_generated_ids_they_are_readable() -> None:
    assert party_id("buyer", 12, False) == "BUYER12"
    assert party_id("producer", 12, False) == "PRODUCER12"
    assert sale_id(12, False) == "SALE12"
    assert line_id(34, False) == "LINE34"


def test_another_layout_has_other_ids_for_the_same_keys() -> None:
    assert party_id("buyer", 12, True, "i2_speedex:") != party_id("buyer", 12, True)
    # Written down from a first run, as above.
    assert party_id("buyer", 12, True, "i2_speedex:") == "dcf4bd9f-7486-5928-ac8d-c7a95cb5461f"
    assert sale_id(12, True, "i2_speedex:") == "bd5d8098-496e-5005-bec8-9813872cb6cc"
    assert line_id(34, True, "i2_speedex:") == "6f8b5bf9-add0-555b-ba34-a368da6bb261"
