"""What a whole migration does with the target, as rights: for a simulation before it begins.

They are those of docs/iam-policy.json, by the same names (a test compares them), without what a
backup can do without.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from load.entities import TABLES
from utils.config import Config, NewTablesConfig, S3Config
from utils.entities import ENTITIES

_ALL, _NAMING = "", "naming"


@dataclass(frozen=True)
class Right:
    """Actions (of DynamoDB) on the tables of all entities, or of those that name others; `below`
    is what of a table they are on: "" the table itself, "/index/*", or "/index" for the indexes by
    which a record is found that names another."""

    actions: tuple[str, ...]
    of: str = _ALL
    below: str = ""


RIGHTS: Mapping[str, tuple[Right, ...]] = {
    "load": (
        Right(
            (
                "DescribeTable",
                "BatchWriteItem",
                "BatchGetItem",
                "PutItem",
                "DeleteItem",
                "Query",
            )
        ),
    ),
    "backup": (Right(("DescribeTable", "Scan", "Query")),),
    "verify": (
        Right(("DescribeTable", "Scan", "GetItem", "Query")),
        Right(("Scan", "Query"), below="/index/*"),
    ),
    "rollback": (
        Right(("Query", "DeleteItem", "DescribeTable", "PutItem")),
        Right(("Query",), _NAMING, "/index"),
        Right(("BatchGetItem", "ConditionCheckItem", "Scan"), _NAMING),
    ),
    "createTables": (Right(("DescribeTable", "CreateTable")),),
    "pointInTimeRecovery": (Right(("DescribeContinuousBackups", "UpdateContinuousBackups")),),
    "nativeBackup": (Right(("CreateBackup",)), Right(("DescribeBackup",), below="/backup/*")),
    "import": (
        Right(("DescribeTable", "ImportTable")),
        Right(("DescribeImport",), below="/import/*"),
    ),
    "newTables": (
        Right(
            (
                "DescribeTable",
                "UpdateTable",
                "DescribeContinuousBackups",
                "UpdateContinuousBackups",
                "DescribeTimeToLive",
                "UpdateTimeToLive",
                "ListTagsOfResource",
                "TagResource",
            )
        ),
    ),
}
# What an import does in its bucket: with the bucket itself, and with objects below its prefix.
IN_BUCKET = ("ListBucket", "ListBucketVersions", "ListBucketMultipartUploads")
OF_OBJECTS = (
    "PutObject",
    "GetObject",  # DynamoDB, in the name of whoever asks for the import
    "DeleteObject",
    "DeleteObjectVersion",
    "AbortMultipartUpload",
)


def works_of(config: Config) -> list[str]:
    """What a `--full` with this configuration does: names of RIGHTS."""
    works = ["load", "backup", "verify"]
    if config.load.imports:
        works = ["import", "load", "verify"]  # what it has imported, `load` goes on with
        if config.load.new_tables != NewTablesConfig():
            works.append("newTables")
    if config.migration.continue_on_error or config.migration.rollback_on_failure:
        works.append("rollback")
    if config.target.creates_tables:
        works.append("createTables")
    if config.backup.point_in_time_recovery == "enable":
        works.append("pointInTimeRecovery")
    if config.backup.native:
        works.append("nativeBackup")
    return works


def needed(work: str, tables: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """The actions ("dynamodb:…") that a work needs, each with a resource. `tables` are the ARNs of
    the tables by entity."""
    for right in RIGHTS[work]:
        for shape in ENTITIES:
            if right.of == _NAMING and not shape.references:
                continue
            for below in _below(right.below, shape.name):
                for action in right.actions:
                    yield f"dynamodb:{action}", tables[shape.name] + below


def needed_in_s3(s3: S3Config, partition: str = "aws") -> Iterator[tuple[str, str]]:
    """The actions ("s3:…") that an import needs, each with a resource."""
    bucket = f"arn:{partition}:s3:::{s3.bucket}"
    yield from ((f"s3:{action}", bucket) for action in IN_BUCKET)
    yield from ((f"s3:{action}", f"{bucket}/{s3.prefix}/*") for action in OF_OBJECTS)


def _below(below: str, entity: str) -> list[str]:
    if below != "/index":
        return [below]
    shape = next(each for each in ENTITIES if each.name == entity)
    keys = [reference.index_key for reference in shape.references]
    return [f"/index/{TABLES[entity].index_of(key).name}" for key in keys]
