"""The rights that are simulated are those of docs/iam-policy.json."""

from __future__ import annotations

from itertools import product
from typing import Any

import orjson
import pytest

from load.target.rights import RIGHTS, needed, needed_in_s3, works_of
from tests.support.places import ROOT
from utils.config import (
    BackupConfig,
    Config,
    LoadConfig,
    MigrationConfig,
    NewTablesConfig,
    S3Config,
    TargetConfig,
)
from utils.entities import ENTITY_NAMES

ARN = "arn:aws:dynamodb:eu-west-1:111122223333:table/"
POLICIES: dict[str, Any] = orjson.loads((ROOT / "docs" / "iam-policy.json").read_bytes())[
    "policies"
]
TABLES = {name: ARN + TargetConfig().table(name) for name in ENTITY_NAMES}
# A backup is made without these as well (docs/security.md).
DISPENSABLE = {"dynamodb:DescribeTimeToLive", "dynamodb:ListTagsOfResource"}


@pytest.mark.parametrize("work", RIGHTS)
def test_what_is_simulated_is_what_the_policy_of_its_name_allows(work: str) -> None:
    allowed = {
        pair
        for statement in POLICIES[work]["Statement"]
        for pair in product(statement["Action"], statement["Resource"])
        if pair[0] not in DISPENSABLE or work == "newTables"
    }
    tables = {pair for pair in allowed if pair[0].startswith("dynamodb:") and pair[1] != "*"}
    assert set(needed(work, TABLES)) == tables


def test_what_is_simulated_of_the_bucket_is_what_the_policy_allows() -> None:
    allowed = {
        pair
        for statement in POLICIES["import"]["Statement"]
        for pair in product(statement["Action"], statement["Resource"])
        if pair[0].startswith("s3:")
    }
    assert set(needed_in_s3(S3Config(bucket="our-migration"))) == allowed


def test_what_a_migration_does_depends_on_its_settings() -> None:
    assert works_of(Config()) == ["load", "backup", "verify"]
    everything = Config(
        target=TargetConfig(create_tables=True),
        migration=MigrationConfig(continue_on_error=True),
        backup=BackupConfig(point_in_time_recovery="enable", native=True),
    )
    of_imports = {"import", "newTables"}
    assert set(works_of(everything)) == set(RIGHTS) - of_imports
    imported = Config(load=LoadConfig(method="import", new_tables=NewTablesConfig(stream="ALL")))
    assert works_of(imported) == ["import", "load", "verify", "newTables"]
