"""Loading by StartBulkPutItems, of November 2026: known, and refused until it is tried.

The service reads the same objects from S3 as an import does, and writes into tables that are there
already, each line on a condition of its own. The live application is only safe with these
conditions, and how a line says its condition could not be found out (developer guide, page
BulkPutItems.Format): so nothing may be written by it. What is known for certain, the operations and
their members, is recorded here (CONTRACT), and compared with the client library before anything
else is said.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from utils.aws.session import session_of
from utils.config import TargetConfig
from utils.error_handler import ConfigurationError
from utils.wording.invocation import again

# Operation → members of its request and of its answer, as botocore 1.44.8 has them.
CONTRACT: Mapping[str, tuple[Sequence[str], Sequence[str]]] = {
    "StartBulkPutItems": (
        (
            "ClientToken",
            "InputS3Configuration",
            "OutputS3Configuration",
            "TableName",
            "MaxWriteRequestUnits",
            "PerformanceTier",
        ),
        ("BulkOperationDescription",),
    ),
    "DescribeBulkOperation": (("BulkOperationArn",), ("BulkOperationDescription",)),
    "CancelBulkOperation": (("BulkOperationArn",), ("BulkOperationArn", "BulkOperationStatus")),
    "ListBulkOperations": (
        ("MaxResults", "NextToken"),
        ("BulkOperationsSummaryList", "NextToken"),
    ),
}
# The members of a line beside Item that carry its condition; None: not known for certain.
CONDITION_MEMBERS: Sequence[str] | None = None


def unknown_to(model: Any) -> list[str]:
    """What of the contract a client library does not know; `model` is its model of DynamoDB."""
    missing = []
    for operation, (asked, answered) in CONTRACT.items():
        if operation not in model.operation_names:
            missing.append(operation)
            continue
        known = model.operation_model(operation)
        for shape, members in ((known.input_shape, asked), (known.output_shape, answered)):
            there = shape.members if shape is not None else {}
            missing += [f"{operation}.{name}" for name in members if name not in there]
    return missing


def require_bulk(target: TargetConfig) -> None:
    """Raise ConfigurationError while a load by StartBulkPutItems cannot be done safely."""
    remedy = (
        "set load.method to batch, which writes into tables that are there, or to import, for new "
        f"ones; then: {again()}"
    )
    session: Any = session_of(target)
    if missing := unknown_to(session.get_service_model("dynamodb")):
        raise ConfigurationError(
            "load.method is bulk, and the client library for AWS that is installed does not know "
            f"{missing[0]}",
            remedy=remedy,
        )
    if CONDITION_MEMBERS is None:
        raise ConfigurationError(
            "load.method is bulk (StartBulkPutItems), which this tool has never tried on AWS: it "
            "is not known for certain how a line of a file says on which condition it is written, "
            "and without one a load would overwrite what the application has changed",
            remedy=remedy,
        )
