"""The policies of an import are what it needs: no request without a permission, and none unused.

(Those of every other work are in tests/scenarios/security/test_iam_policies.py.)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

import orjson
import pytest

from tests.conftest import S9Database
from tests.scenarios.imports.conftest import NEW, importer
from tests.support.aws.policies import POLICIES, Permission, permissions
from tests.support.aws.proxy import Answer, FaultyProxy, Plan, Request
from tests.support.aws.s3_watch import S3Watch
from tests.support.operators.operator import Operator, small_trade
from utils.embedded.aws import EmbeddedAws

NAMES = {NEW.sales: "SalesTable-dev", NEW.buyers: "BuyersTable-dev"}
NAMES[NEW.producers] = "ProducersTable-dev"
ARN = "arn:aws:dynamodb:eu-west-1:111122223333:table/"
# What DynamoDB does itself, in the name of whoever asks for an import.
BY_DYNAMODB = {"s3:GetObject", *POLICIES["import"]["Statement"][-1]["Action"]}
# Of an answer that was lost, and an upload that broke off: each is brought about by its own test.
RARE = {"dynamodb:ListImports", "s3:AbortMultipartUpload"}
SETTINGS = {
    "pointInTimeRecovery": True,
    "deletionProtection": True,
    "stream": "KEYS_ONLY",
    "timeToLive": {"buyers": "ttl", "producers": "ttl", "sales": "ttl"},
    "tags": {"team": "migration"},
}


@dataclass
class Scene:
    """An operator whose requests to DynamoDB and S3 are seen."""

    operator: Operator
    s3: S3Watch
    asked: set[Permission] = field(default_factory=set)

    def note(self, request: Request) -> Answer | None:
        body = orjson.loads(request.body)
        action = f"dynamodb:{request.operation}"
        if request.operation == "ImportTable":
            table = body["TableCreationParameters"]["TableName"]
        else:
            table = next(
                (body[name] for name in ("TableName", "ImportArn", "ResourceArn") if name in body),
                next(iter(body.get("RequestItems", {"": 0}))),
            )
        name, slash, rest = table.rpartition(":table/")[2].partition("/")
        place = ARN + NAMES.get(name, name) + slash + rest
        self.asked.add(
            (action, place + (f"/index/{body['IndexName']}" if "IndexName" in body else ""))
        )
        return None

    def needed(self) -> set[Permission]:
        """Every permission that was needed since this was asked last."""
        of_s3 = {
            (action, f"arn:aws:s3:::{place.replace('imports', 'our-migration', 1)}")
            for action, place in self.s3.asked
        }
        found = {
            (action, f"{place}s9-import/x" if place.endswith("/") else place)
            for action, place in of_s3
        } | self.asked
        self.s3.asked.clear()
        self.asked = set()
        return found


@pytest.fixture
def scene(tmp_path: Path, s9: S9Database, importing: EmbeddedAws) -> Iterator[Scene]:
    small_trade(s9)
    with S3Watch(importing) as watch:
        operator = importer(tmp_path, s9, importing)
        found = Scene(operator, watch)
        with FaultyProxy(importing, Plan(always=found.note)) as proxy:
            operator.configure(
                target={"endpoint": proxy.url, "useLocalStack": False},
                load={"newTables": SETTINGS},
            )
            keys = {"AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s"}
            operator.environment.update(AWS_ENDPOINT_URL_S3=watch.url, **keys)
            yield found


def covers(permission: Permission, needed: Permission) -> bool:
    return permission[0] == needed[0] and fnmatchcase(needed[1], permission[1])


def unused(needed: set[Permission], *policies: str) -> set[Permission]:
    return {
        permission
        for permission in permissions(*policies)
        if not any(covers(permission, each) for each in needed)
    }


def denied(needed: set[Permission], *policies: str) -> set[Permission]:
    allowed = permissions(*policies)
    return {each for each in needed if not any(covers(known, each) for known in allowed)}


def test_an_import_needs_its_policies_and_uses_them_up(scene: Scene) -> None:
    scene.operator.run("--full").ended(0)
    needed = scene.needed()
    assert not denied(needed, "import", "newTables", "verify")
    left = unused(needed, "import", "newTables")
    assert {action for action, _ in left} <= BY_DYNAMODB | RARE, left


def test_a_check_needs_its_own(scene: Scene) -> None:
    scene.operator.run("check")
    needed = {each for each in scene.needed() if each[0].startswith("s3:")}
    assert not denied(needed, "checkImport")
    assert not unused(needed, "checkImport")
