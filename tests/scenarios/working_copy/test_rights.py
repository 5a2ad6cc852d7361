"""The policies of files in S3 are what they need, and `check` says how the bucket is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

import pytest

from tests.conftest import S9Database
from tests.support.aws.policies import Permission, permissions
from tests.support.aws.s3_places import PlaceInS3, lose_the_machine
from tests.support.aws.s3_watch import S3Watch
from tests.support.operators.operator import Operator, small_trade
from utils.embedded.aws import EmbeddedAws

RARE = {"s3:AbortMultipartUpload"}  # of an upload that broke off


@dataclass
class Scene:
    operator: Operator
    place: PlaceInS3
    watch: S3Watch

    def needed(self) -> set[Permission]:
        """Every permission that was needed since this was asked last."""
        ours = (self.place.bucket, "our-migration"), (self.place.prefix, "data")
        found = set()
        for action, asked in self.watch.asked:
            where = asked
            for here, there in ours:
                where = where.replace(here, there, 1)
            found.add((action, f"arn:aws:s3:::{where}" + ("data/x" if where[-1] == "/" else "")))
        self.watch.asked.clear()
        return found


@pytest.fixture
def scene(alone: Operator, s9: S9Database, aws: EmbeddedAws, place: PlaceInS3) -> Iterator[Scene]:
    small_trade(s9)
    alone.configure(data={"directory": str(place)})
    with S3Watch(aws) as watch:
        alone.environment["AWS_ENDPOINT_URL_S3"] = watch.url
        yield Scene(alone, place, watch)


def covers(permission: Permission, needed: Permission) -> bool:
    return permission[0] == needed[0] and fnmatchcase(needed[1], permission[1])


def judged(needed: set[Permission], policy: str) -> tuple[set[Permission], set[Permission]]:
    """What a policy denies of what is needed, and what it has that is not."""
    allowed = permissions(policy)
    denied = {each for each in needed if not any(covers(known, each) for known in allowed)}
    return denied, {each for each in allowed if not any(covers(each, known) for known in needed)}


def test_files_in_s3_need_their_policy_and_use_it_up(scene: Scene) -> None:
    scene.operator.run("--full").ended(0)
    lose_the_machine(scene.operator)
    scene.operator.run("sync").ended(0)
    scene.operator.run("rollback", "--yes").ended(0)
    scene.operator.run("clean", "--yes").ended(0)
    denied, unused = judged(scene.needed(), "dataInS3")
    assert not denied
    assert {action for action, _ in unused} <= RARE


def test_a_check_needs_its_own_and_leaves_nothing(scene: Scene) -> None:
    scene.operator.run("check")
    denied, unused = judged(scene.needed(), "checkDataInS3")
    assert not denied
    assert not unused
    assert scene.place.listed() == []
    uploads = scene.place.s3.list_multipart_uploads(Bucket=scene.place.bucket)
    assert not [
        each for each in uploads.get("Uploads", ()) if each["Key"].startswith(scene.place.prefix)
    ]


def test_check_says_how_the_bucket_is(scene: Scene) -> None:
    checked = json.loads(scene.operator.run("check", "--json").stdout)["checks"]
    found = {each["name"]: each for each in checked}
    assert found[f"bucket {scene.place.bucket}"]["state"] == "ok"
    assert found[f"writing to {scene.place}"]["state"] == "ok"
    scene.operator.configure(data={"directory": "s3://no-such-bucket-here/data"})
    checked = json.loads(scene.operator.run("check", "--json").stdout)["checks"]
    found = {each["name"]: each for each in checked}
    assert found["bucket no-such-bucket-here"]["state"] == "failed"
    assert "data.directory" in found["bucket no-such-bucket-here"]["remedy"]
