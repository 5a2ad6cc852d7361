"""What DynamoDB has to say of an import's errors: in CloudWatch Logs, at most so many.

The log group is named by the import; the stream of its errors is the last part of the import's ARN
with `/error` ("Import to CloudWatch Logs", DynamoDB developer guide). Of an entry the place in S3
and what is wrong are told; a message may quote an item, so it is masked.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import orjson

from utils.aws.services import open_service
from utils.config import TargetConfig
from utils.logger import get_logger
from utils.wording.masking import mask, scrub
from utils.wording.terminal import printable

_GROUP = "/aws-dynamodb/imports"
_MOST = 5
_VALUES = re.compile(r"""(?<=value: )\S.*|"[^"]*"?|'[^']*'?|\{.*""", re.DOTALL)


def errors_of(target: TargetConfig, arn: str, group_arn: str) -> list[str]:
    """The first errors of an import, as sentences; none where there are none, and one that says why
    where they cannot be read."""
    group = group_arn.partition(":log-group:")[2].removesuffix(":*") or _GROUP
    stream = f"{arn.rpartition('/')[2]}/error"
    try:
        client: Any = open_service(target, "logs")
        answer = client.get_log_events(
            logGroupName=group, logStreamName=stream, startFromHead=True, limit=_MOST
        )
        return [_told(each["message"]) for each in answer["events"]]
    except Exception as error:  # what has failed is the import: it is told whatever its log does
        get_logger().debug("The log of an import cannot be read: %s", type(error).__name__)
        kind = getattr(error, "response", {}).get("Error", {}).get("Code") or type(error).__name__
        return [f"its errors are in CloudWatch Logs, {group}, {stream} (not read here: {kind})"]


def _told(message: str) -> str:
    try:
        entry: Mapping[str, Any] = orjson.loads(message)
        place = entry["itemS3Pointer"]
        problems = "; ".join(map(str, entry["errorMessages"]))
        told = f"{place['key']}, item {place['itemIndex']}: {_masked(problems)}"
    except (ValueError, KeyError, TypeError):
        told = _masked(message)
    return printable(scrub(told))


def _masked(text: str) -> str:
    """Words of DynamoDB's; what is quoted, in braces, or follows `value:` may be personal."""
    return _VALUES.sub(lambda found: mask(found[0]), text)
