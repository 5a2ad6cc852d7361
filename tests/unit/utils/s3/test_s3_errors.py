"""What S3 refuses, in words for an operator, each with a remedy."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import (
    ClientError,
    EndpointConnectionError,
    ParamValidationError,
    ReadTimeoutError,
)

from utils.aws.credentials import Unrenewed
from utils.config import TargetConfig
from utils.error_handler import TargetError
from utils.s3.s3_errors import BucketMissing, Denied, NotNow, s3_errors

TARGET = TargetConfig(region="eu-west-1")


def refused(code: str, message: str = "words of S3") -> ClientError:
    problem: Any = {"Error": {"Code": code, "Message": message}}
    return ClientError(problem, "PutObject")


def told(error: Exception) -> TargetError:
    with pytest.raises(TargetError) as caught, s3_errors(TARGET, "a-bucket", "putting a/1 there"):
        raise error
    assert caught.value.remedy
    return caught.value


@pytest.mark.parametrize(
    ("code", "kind", "words"),
    [
        ("NoSuchBucket", BucketMissing, "no bucket a-bucket"),
        ("404", BucketMissing, "no bucket a-bucket"),
        ("AccessDenied", Denied, "denies access to the bucket a-bucket"),
        ("403", Denied, "denies access"),
        ("PermanentRedirect", TargetError, "in another region than eu-west-1"),
        ("ExpiredToken", TargetError, "have expired"),
        ("InvalidAccessKeyId", TargetError, "does not accept the AWS credentials"),
        ("RequestTimeTooSkewed", TargetError, "does not accept the time"),
        ("SlowDown", NotNow, "SlowDown: words of S3"),
    ],
)
def test_every_refusal_is_told(code: str, kind: type[TargetError], words: str) -> None:
    error = told(refused(code))
    assert type(error) is kind
    assert words in error.message


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (EndpointConnectionError(endpoint_url="https://s3.example"), "S3 cannot be reached"),
        (ReadTimeoutError(endpoint_url="https://s3.example"), "S3 cannot be reached"),
        (ParamValidationError(report="of a setting"), "S3 cannot be used"),
        (Unrenewed("the provider gives none", "sign in again"), "the provider gives none"),
    ],
)
def test_whoever_does_not_answer_is_named(error: Exception, words: str) -> None:
    assert words in told(error).message


def test_what_is_an_error_of_ours_already_is_left_as_it_is() -> None:
    ours = TargetError("ours", remedy="do it")
    with pytest.raises(TargetError) as caught, s3_errors(TARGET, "a-bucket", "doing"):
        raise ours
    assert caught.value is ours
