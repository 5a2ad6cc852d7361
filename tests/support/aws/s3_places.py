"""Places in S3 in which operators keep their files."""

from __future__ import annotations

import random
import shutil
from copy import copy
from itertools import count
from typing import Any

import boto3
import orjson

from tests.conftest import REGION
from tests.support.operators.operator import Operator
from utils.embedded.aws import EmbeddedAws

BUCKET = "kept-files"
_numbers = count()
_LOST = 0.75  # of the machines on which a command is killed


def s3_of(aws: EmbeddedAws) -> Any:
    """A client of S3."""
    of_any: Any = boto3.client
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    return of_any("s3", endpoint_url=aws.endpoint_url, region_name=REGION, **keys)


def make_bucket(aws: EmbeddedAws, name: str = BUCKET) -> None:
    """Have a bucket."""
    s3 = s3_of(aws)
    if name not in {each["Name"] for each in s3.list_buckets()["Buckets"]}:
        s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})


class PlaceInS3:
    """A place of its own, and what is there."""

    def __init__(self, aws: EmbeddedAws, bucket: str = BUCKET) -> None:
        make_bucket(aws, bucket)
        self.bucket = bucket
        self.prefix = f"migrations/{next(_numbers)}"
        self.s3 = s3_of(aws)

    @classmethod
    def at(cls, other: PlaceInS3, below: str) -> PlaceInS3:
        """The place below another one."""
        place = copy(other)
        place.prefix = f"{other.prefix}/{below}"
        return place

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}"

    def listed(self, below: str = "") -> list[str]:
        """The keys of the objects that are there, without the prefix."""
        pages = self.s3.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket, Prefix=f"{self.prefix}/{below}"
        )
        return [
            each["Key"].removeprefix(f"{self.prefix}/")
            for page in pages
            for each in page.get("Contents", ())
        ]

    def get(self, key: str) -> bytes:
        """What is there under a key."""
        content: bytes = self.s3.get_object(Bucket=self.bucket, Key=f"{self.prefix}/{key}")[
            "Body"
        ].read()
        return content

    def put(self, key: str, content: bytes) -> None:
        """Put something there."""
        self.s3.put_object(Bucket=self.bucket, Key=f"{self.prefix}/{key}", Body=content)

    def delete(self, key: str) -> None:
        """Take something away."""
        self.s3.delete_object(Bucket=self.bucket, Key=f"{self.prefix}/{key}")

    def index(self) -> dict[str, Any]:
        """The files that the index names."""
        files: dict[str, Any] = orjson.loads(self.get("index.json"))["files"]
        return files

    def assert_whole(self) -> None:
        """Everything that the index names is there, and nothing else."""
        named = {each["key"].removeprefix(f"{self.prefix}/") for each in self.index().values()}
        assert {*self.listed("files/"), *self.listed("kept/")} == named - {""}


def lose_the_machine(operator: Operator) -> None:
    """The disk of the operator's machine is gone, and another has its name."""
    shutil.rmtree(operator.data, ignore_errors=True)


def forget_the_lock(place: PlaceInS3) -> None:
    """What the operator is told to do about the lock of a machine that is gone."""
    place.delete("lock.json")


def move_on(operator: Operator, place: PlaceInS3, chance: random.Random) -> bool:
    """A command was killed: mostly its machine is lost, and sometimes it goes on at the same one.
    Whether there is something to resume."""
    if chance.random() < _LOST:
        lose_the_machine(operator)
        forget_the_lock(place)
    return "index.json" in place.listed() and "manifest.json" in place.index()
