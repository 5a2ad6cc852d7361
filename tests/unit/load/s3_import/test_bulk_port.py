"""StartBulkPutItems: what is recorded of it is so, and it is refused all the same."""

from __future__ import annotations

from typing import Any

import botocore.session
import pytest

from load.s3_import import bulk_port
from load.s3_import.bulk_port import CONTRACT, require_bulk, unknown_to
from utils.config import TargetConfig
from utils.error_handler import ConfigurationError

TARGET = TargetConfig(use_local_stack=True)


def model() -> Any:
    session: Any = botocore.session.Session()
    return session.get_service_model("dynamodb")


def test_the_recorded_contract_is_what_the_client_library_has() -> None:
    found = model()
    assert unknown_to(found) == []
    for operation, (asked, answered) in CONTRACT.items():
        known = found.operation_model(operation)
        assert list(known.input_shape.members) == list(asked)
        assert list(known.output_shape.members) == list(answered)


def test_it_is_refused_while_the_condition_of_a_line_is_not_known() -> None:
    with pytest.raises(ConfigurationError, match="never tried on AWS"):
        require_bulk(TARGET)


def test_it_is_refused_where_the_client_library_does_not_know_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bulk_port, "CONDITION_MEMBERS", ("ConditionExpression",))
    require_bulk(TARGET)
    further = {**CONTRACT, "StartBulkDeleteItems": ((), ())}
    monkeypatch.setattr(bulk_port, "CONTRACT", further)
    with pytest.raises(ConfigurationError, match="does not know StartBulkDeleteItems"):
        require_bulk(TARGET)
