"""The condition that an item is still what it was, held against a model, by two servers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import orjson
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from mypy_boto3_dynamodb import DynamoDBClient

from load.writing.conditions import ABSENT, Condition, unchanged, unchanged_text
from load.writing.known_attributes import known_attributes
from tests.conftest import REGION
from tests.support.aws.moto_server import MotoAws
from utils.dynamodb.item_content import is_same
from utils.dynamodb.item_text import flat_attributes
from utils.embedded.aws import EmbeddedAws

TABLE = "conditions"
KEYS = [
    ("BUYER#1", "METADATA"),
    ("PRODUCER#1", "METADATA"),
    ("SALE#1", "METADATA"),
    ("SALE#1", "LINE#1"),
]
VALUES = st.one_of(
    st.text(max_size=5).map(lambda text: {"S": text}),
    st.decimals(-1000, 1000, places=2).map(lambda number: {"N": str(number)}),
    st.booleans().map(lambda flag: {"BOOL": flag}),
    st.just({"NULL": True}),
    st.lists(st.text(min_size=1, max_size=2), min_size=1, max_size=3, unique=True).map(
        lambda words: {"SS": words}
    ),
    st.lists(st.integers(0, 9), max_size=2).map(
        lambda numbers: {"L": [{"N": str(number)} for number in numbers]}
    ),
    st.dictionaries(st.sampled_from("ab"), st.just({"S": "x"}), max_size=2).map(
        lambda words: {"M": words}
    ),
)


@st.composite
def items(draw: st.DrawFn) -> dict[str, Any]:
    """An item of some kind with some of the attributes that its kind may have."""
    pk, sk = draw(st.sampled_from(KEYS))
    names = st.sampled_from(sorted(known_attributes(pk, sk)))
    attributes = draw(st.dictionaries(names, VALUES, max_size=6))
    return {"PK": {"S": pk}, "SK": {"S": sk}, **attributes}


@st.composite
def pairs(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, Any]]:
    """An item, and what became of it: the same, changed, with more or with less."""
    item = draw(items())
    other = dict(item)
    pk, sk = item["PK"]["S"], item["SK"]["S"]
    for name in draw(st.lists(st.sampled_from(sorted(known_attributes(pk, sk))), max_size=2)):
        if draw(st.booleans()):
            other[name] = draw(VALUES)
        else:
            other.pop(name, None)
    return item, other


_CONTAINERS, _NUMBERS = {"L", "M"}, {"N", "BOOL"}


@dataclass(frozen=True)
class Judge:
    """A server with an empty table. Where a server is known to judge as DynamoDB does not, it is
    not asked: moto takes an attribute that is not there for a NULL, and true for the number 1;
    ministack takes every list and map for equal to every other."""

    client: DynamoDBClient
    is_moto: bool

    def is_fit(self, item: dict[str, Any], other: dict[str, Any]) -> bool:
        """Whether the server can tell these two apart."""
        if self.is_moto and {"NULL": True} in item.values():
            return False
        alike = _NUMBERS if self.is_moto else _CONTAINERS
        return not any(
            value != other.get(name) and alike >= {*value, *other.get(name, {"absent": None})}
            for name, value in item.items()
        )

    def deleted_if(self, key: dict[str, Any], condition: Condition) -> bool:
        """Whether an item was deleted that had to fulfil a condition."""
        try:
            self.client.delete_item(TableName=TABLE, Key=key, **condition.as_request())
        except self.client.exceptions.ConditionalCheckFailedException:
            return False
        return True


@pytest.fixture(scope="module", params=["ministack", "moto"])
def judge(
    request: pytest.FixtureRequest, aws: EmbeddedAws, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Judge]:
    server = aws if request.param == "ministack" else MotoAws(tmp_path_factory.mktemp("moto") / "l")
    if server is not aws:
        server.start()
    client = boto3.client(
        "dynamodb",
        endpoint_url=server.endpoint_url,
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    client.create_table(
        TableName=TABLE,
        KeySchema=[
            {"AttributeName": "PK", "KeyType": "HASH"},
            {"AttributeName": "SK", "KeyType": "RANGE"},
        ],
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in ("PK", "SK")],
        BillingMode="PAY_PER_REQUEST",
    )
    yield Judge(client, is_moto=server is not aws)
    client.delete_table(TableName=TABLE)
    if server is not aws:
        server.stop()


def put_together(item: dict[str, Any]) -> Condition | None:
    """The condition from the texts of a flat item's attributes; of others there is none."""
    attributes = flat_attributes(b'{"Item":%b}\n' % orjson.dumps(item))
    if attributes is None:
        return None
    return unchanged_text(item["PK"]["S"], item["SK"]["S"], attributes)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pair=pairs())
def test_it_holds_for_the_same_item_and_for_no_other(
    judge: Judge, pair: tuple[dict[str, Any], dict[str, Any]]
) -> None:
    item, other = pair
    assume(judge.is_fit(item, other))
    condition = unchanged(item)
    assert condition is not None
    for each in filter(None, (condition, put_together(item))):
        judge.client.put_item(TableName=TABLE, Item=other)
        key = {"PK": item["PK"], "SK": item["SK"]}
        assert judge.deleted_if(key, each) == is_same(item, other)
        judge.client.delete_item(TableName=TABLE, Key=key)
        assert not judge.deleted_if(key, each)
        assert judge.deleted_if(key, ABSENT)
