"""Signatures: what is kept between requests changes nothing of what botocore's signer makes."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from botocore import auth
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials
from hypothesis import given
from hypothesis import strategies as st

from utils.aws.signing import Signer

URL = "https://dynamodb.eu-west-1.amazonaws.com/"
MIDNIGHT = dt.datetime(2026, 3, 1, tzinfo=dt.timezone.utc)
REQUESTS = st.lists(
    st.tuples(
        st.sampled_from([-1, 0, 1, 3600]),
        st.sampled_from(["BatchWriteItem", "Scan"]),
        st.binary(max_size=40),
    ),
    min_size=1,
    max_size=8,
)


def headers(operation: str) -> dict[str, str]:
    return {
        "Host": "dynamodb.eu-west-1.amazonaws.com",
        "Content-Type": "application/x-amz-json-1.0",
        "X-Amz-Target": f"DynamoDB_20120810.{operation}",
        "Accept-Encoding": "identity",
    }


@pytest.mark.parametrize("token", [None, "token"])
@given(requests=REQUESTS)
def test_a_request_is_signed_as_botocore_signs_it(
    token: str | None, requests: list[tuple[int, str, bytes]]
) -> None:
    keys = ReadOnlyCredentials("AKID", "secret", token)
    moments = [MIDNIGHT]

    def clock() -> float:
        return moments[-1].timestamp()

    signer = Signer(keys, "eu-west-1", "dynamodb", clock=clock)
    for seconds, operation, body in requests:
        with pytest.MonkeyPatch.context() as patch:
            now = MIDNIGHT + dt.timedelta(seconds=seconds)
            moments.append(now)
            patch.setattr(auth, "get_current_datetime", lambda now=now: now)
            lines = signer.lines(URL, headers(operation), operation, body)
            expected = AWSRequest("POST", URL, data=body, headers=headers(operation))
            reference: Any = SigV4Auth(keys, "dynamodb", "eu-west-1")
            reference.add_auth(expected)
        wanted = "".join(f"{name}: {value}\r\n" for name, value in expected.headers.items())
        assert lines.decode() == wanted
