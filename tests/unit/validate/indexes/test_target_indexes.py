"""A table is right when its key and every index are as the API needs them."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from load.load_buyers import TABLE
from validate.indexes.target_indexes import judge_table

Description = dict[str, Any]

RIGHT: Description = {
    "KeySchema": [
        {"AttributeName": "PK", "KeyType": "HASH"},
        {"AttributeName": "SK", "KeyType": "RANGE"},
    ],
    "AttributeDefinitions": [
        {"AttributeName": name, "AttributeType": "S"}
        for name in ("GSI1PK", "GSI1SK", "GSI2PK", "GSI2SK", "PK", "SK")
    ],
    "GlobalSecondaryIndexes": [
        {
            "IndexName": name,
            "IndexStatus": "ACTIVE",
            "KeySchema": [
                {"AttributeName": f"GSI{number}PK", "KeyType": "HASH"},
                {"AttributeName": f"GSI{number}SK", "KeyType": "RANGE"},
            ],
            "Projection": {"ProjectionType": "ALL"},
        }
        for number, name in ((1, "GSI1-QueryByCode"), (2, "GSI2-QueryByStatus"))
    ],
}


def drop_index(table: Description) -> None:
    del table["GlobalSecondaryIndexes"][0]


def drop_all_indexes(table: Description) -> None:
    del table["GlobalSecondaryIndexes"]


def swap_keys(table: Description) -> None:
    table["GlobalSecondaryIndexes"][0]["KeySchema"] = table["GlobalSecondaryIndexes"][1][
        "KeySchema"
    ]


def drop_sort_key(table: Description) -> None:
    del table["GlobalSecondaryIndexes"][0]["KeySchema"][1]


def number_key(table: Description) -> None:
    table["AttributeDefinitions"][1]["AttributeType"] = "N"


def creating(table: Description) -> None:
    table["GlobalSecondaryIndexes"][0]["IndexStatus"] = "CREATING"


def keys_only(table: Description) -> None:
    table["GlobalSecondaryIndexes"][0]["Projection"] = {"ProjectionType": "KEYS_ONLY"}


def table_without_sort_key(table: Description) -> None:
    del table["KeySchema"][1]


def test_a_right_table_passes() -> None:
    state = judge_table("Buyers", TABLE, RIGHT)
    assert state.passed
    assert all(index.passed for index in state.indexes.values())


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (drop_index, "the index GSI1-QueryByCode of Buyers is missing"),
        (drop_all_indexes, "the index GSI2-QueryByStatus of Buyers is missing"),
        (swap_keys, "the key of the index GSI1-QueryByCode of Buyers is not GSI1PK, GSI1SK"),
        (drop_sort_key, "the key of the index GSI1-QueryByCode of Buyers is not GSI1PK, GSI1SK"),
        (number_key, "the key of the index GSI1-QueryByCode of Buyers is not GSI1PK, GSI1SK"),
        (creating, "the index GSI1-QueryByCode of Buyers is not ACTIVE"),
        (keys_only, "the index GSI1-QueryByCode of Buyers does not project ALL attributes"),
        (table_without_sort_key, "the key of Buyers is not PK, SK"),
    ],
)
def test_what_is_wrong_is_named(spoil: Callable[[Description], None], problem: str) -> None:
    table = copy.deepcopy(RIGHT)
    spoil(table)
    state = judge_table("Buyers", TABLE, table)
    assert not state.passed
    assert any(sentence.startswith(problem) for sentence in state.problems)
