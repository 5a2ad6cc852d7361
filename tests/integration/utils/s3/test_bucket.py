"""A bucket, on every server that there is to judge by."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from tests.conftest import REGION
from tests.support.aws.import_server import MISSING, ImportingAws, is_installed
from tests.support.aws.moto_server import MotoAws
from utils.config import TargetConfig
from utils.embedded.aws import EmbeddedAws
from utils.error_handler import TargetError
from utils.s3 import bucket as module
from utils.s3.bucket import Bucket
from utils.s3.s3_errors import BucketMissing

NAME = "a-bucket"


@pytest.fixture(scope="module", params=[EmbeddedAws, ImportingAws, MotoAws])
def server(request: pytest.FixtureRequest) -> Iterator[EmbeddedAws]:
    if request.param is ImportingAws and not is_installed():
        pytest.skip(MISSING)
    with request.param() as aws:
        place: Any = {"LocationConstraint": REGION}
        s3(aws).create_bucket(Bucket=NAME, CreateBucketConfiguration=place)
        yield aws


def s3(aws: EmbeddedAws) -> Any:
    keys = {"aws_access_key_id": "localstack", "aws_secret_access_key": "localstack"}
    of_any: Any = boto3.client
    return of_any("s3", endpoint_url=aws.endpoint_url, region_name=REGION, **keys)


@pytest.fixture
def target(server: EmbeddedAws) -> TargetConfig:
    return TargetConfig(region=REGION, use_local_stack=True, endpoint=server.endpoint_url)


@pytest.fixture
def bucket(target: TargetConfig) -> Bucket:
    found = Bucket(target, NAME)
    found.remove_all("")
    return found


def test_what_is_put_there_is_there_and_listed(bucket: Bucket) -> None:
    small, none = bucket.put_bytes("a/small", b"content"), bucket.put_bytes("a/none", b"")
    other = bucket.put_bytes("b/other", b"content")
    assert list(bucket.objects("a/")) == [none, small]
    assert (small.size, none.size) == (7, 0)
    assert small.etag == other.etag != none.etag
    assert bucket.get("a/small") == b"content"


def test_a_large_object_goes_up_in_parts_and_is_whole(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PART_BYTES", 5 << 20)
    content = bytes(range(256)) * (43 << 10)  # nearly 11 MiB
    stored = bucket.put("large", io.BytesIO(content + b"and more"), len(content))
    assert list(bucket.objects("large")) == [stored]
    assert bucket.get("large") == content


def test_all_of_a_place_is_removed_with_versions_and_uploads_that_were_not_completed(
    bucket: Bucket, server: EmbeddedAws
) -> None:
    client = s3(server)
    versions = {"Status": "Enabled"}
    client.put_bucket_versioning(Bucket=NAME, VersioningConfiguration=versions)
    for content in (b"one", b"another"):
        bucket.put_bytes("mine/1", content)
    bucket.put_bytes("others/1", b"stays")
    client.create_multipart_upload(Bucket=NAME, Key="mine/2")
    assert bucket.remove_all("mine/") == 2
    left = client.list_object_versions(Bucket=NAME)
    assert [each["Key"] for each in left["Versions"]] == ["others/1"]
    assert not left.get("DeleteMarkers")
    assert not client.list_multipart_uploads(Bucket=NAME).get("Uploads")


def test_an_upload_that_breaks_off_leaves_nothing(
    bucket: Bucket, server: EmbeddedAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PART_BYTES", 5 << 20)
    short = io.BytesIO(b"x" * (6 << 20))
    with pytest.raises(ValueError, match="were to be read"):
        bucket.put("broken", short, 11 << 20)
    assert not s3(server).list_multipart_uploads(Bucket=NAME).get("Uploads")
    assert list(bucket.objects("broken")) == []


def test_every_request_can_name_the_account_that_owns_the_bucket(
    target: TargetConfig, server: EmbeddedAws
) -> None:
    account = "123456789012" if isinstance(server, MotoAws) else "000000000000"
    owned = Bucket(target, NAME, owner=account)
    owned.put_bytes("owned/1", b"content")
    assert [each.key for each in owned.objects("owned/")] == ["owned/1"]
    assert owned.facts().versions
    assert owned.remove_all("owned/") >= 1


def test_facts_say_what_a_check_needs(bucket: Bucket, server: EmbeddedAws) -> None:
    rule = {
        "ID": "expire",
        "Status": "Enabled",
        "Filter": {"Prefix": "s9-import/"},
        "Expiration": {"Days": 7},
    }
    s3(server).put_bucket_lifecycle_configuration(
        Bucket=NAME, LifecycleConfiguration={"Rules": [rule]}
    )
    facts = bucket.facts()
    assert facts.days_of("s9-import/x/") == 7
    assert facts.days_of("elsewhere/") is None
    assert facts.region in ("", REGION)
    assert facts.encryption is not None


def test_what_is_missing_or_unreached_is_told_with_a_remedy(target: TargetConfig) -> None:
    with pytest.raises(BucketMissing, match="no bucket there-is-none") as missing:
        Bucket(target, "there-is-none").facts()
    assert "load.s3.bucket" in missing.value.remedy
    nowhere = TargetConfig(use_local_stack=True, endpoint="http://127.0.0.1:9")
    with pytest.raises(TargetError, match="S3 cannot be reached") as unreached:
        Bucket(nowhere, NAME).put_bytes("a", b"b")
    assert unreached.value.remedy
