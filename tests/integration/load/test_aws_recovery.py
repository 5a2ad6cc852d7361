"""What AWS itself keeps: asked for, required, recorded; on both judges."""

from __future__ import annotations

import pytest

from load.backup.aws_recovery import secure
from tests.integration.conftest import Begin, client_of, fill
from utils.embedded.aws import EmbeddedAws
from utils.error_handler import TargetError


def no_sleep(_: float) -> None:
    return


def test_point_in_time_recovery_is_required(judge: EmbeddedAws, table: str, begin: Begin) -> None:
    client = client_of(judge)
    fill(client, table, 1)
    config = begin(judge.endpoint_url, point_in_time_recovery="require").config
    with pytest.raises(TargetError, match="no point-in-time recovery") as caught:
        secure(config, table, "name", no_sleep)
    assert "enable" in caught.value.remedy
    client.update_continuous_backups(
        TableName=table, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
    )
    found = secure(config, table, "name", no_sleep)["pointInTimeRecovery"]
    assert (found["status"], found["enabledByUs"]) == ("ENABLED", False)
    assert found["earliest"] and found["latest"]


def test_point_in_time_recovery_is_enabled_where_it_is_off(
    judge: EmbeddedAws, table: str, begin: Begin
) -> None:
    client = client_of(judge)
    fill(client, table, 1)
    config = begin(judge.endpoint_url, point_in_time_recovery="enable").config
    first = secure(config, table, "name", no_sleep)["pointInTimeRecovery"]
    second = secure(config, table, "name", no_sleep)["pointInTimeRecovery"]
    assert (first["enabledByUs"], second["enabledByUs"]) == (True, False)
    state = client.describe_continuous_backups(TableName=table)["ContinuousBackupsDescription"]
    assert state["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED"


def test_a_native_backup_is_waited_for(judge: EmbeddedAws, table: str, begin: Begin) -> None:
    client = client_of(judge)
    fill(client, table, 1)
    config = begin(judge.endpoint_url, native=True).config
    found = secure(config, table, "before-the-load", no_sleep)
    assert "pointInTimeRecovery" not in found
    assert found["native"]["status"] == "AVAILABLE"
    described = client.describe_backup(BackupArn=found["native"]["arn"])["BackupDescription"]
    assert described["BackupDetails"]["BackupName"] == "before-the-load"
    assert described["SourceTableDetails"]["TableName"] == table


def test_nothing_is_asked_when_nothing_is_wanted(begin: Begin) -> None:
    nobody = "http://127.0.0.1:9"
    assert secure(begin(nobody).config, "table", "name", no_sleep) == {}
