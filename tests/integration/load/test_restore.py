"""Restores: the table equals the backup item for item, or nothing was changed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pyrage
import pytest
from mypy_boto3_dynamodb import DynamoDBClient

from load.backup.engine import back_up, new_name
from load.backup.folder import BackupFolder
from load.backup.listing import listed
from load.restore import engine as restoring
from load.restore.engine import restore
from load.target.tables import prepare_tables
from load.writing.batch_writer import BatchWriter
from tests.conftest import TableNames
from tests.integration.conftest import Begin, client_of, fill, item
from utils.config import TargetConfig
from utils.dynamodb.table_spec import Index, TableSpec
from utils.embedded.aws import EmbeddedAws
from utils.error_handler import ArtifactError, ConfigurationError, TargetError
from utils.interrupt import Interrupted
from utils.run.session import Session


def contents(client: DynamoDBClient, table: str) -> dict[str, Any]:
    """Every item of a table by its key, sets sorted."""
    pages: Any = client.get_paginator("scan").paginate(TableName=table, ConsistentRead=True)
    found: dict[str, Any] = {}
    for page in pages:
        for each in page["Items"]:
            if "words" in each:
                each["words"]["SS"].sort()
            found[each["PK"]["S"]] = each
    return found


def backed_up(work: Session, table: str) -> BackupFolder:
    return back_up(work, table, new_name(work.config, table))


def test_into_a_new_table_made_as_the_old_one_was(
    judge: EmbeddedAws, table: str, begin: Begin
) -> None:
    client = client_of(judge)
    fill(client, table, 130)
    before, described = contents(client, table), client.describe_table(TableName=table)["Table"]
    work = begin(judge.endpoint_url)
    folder = backed_up(work, table)
    copy = table.replace("Sales", "Producers")
    try:
        done = restore(work, folder, copy, (), agreed=False)
        assert (done.created, done.added, done.items) == (True, 130, 130)
        assert contents(client, copy) == before
        made = client.describe_table(TableName=copy)["Table"]
        for part in ("KeySchema", "AttributeDefinitions"):
            assert made[part] == described[part]
        assert made["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    finally:
        client.delete_table(TableName=copy)


def test_indexes_and_provisioned_throughput_come_back(
    dynamodb: DynamoDBClient, tables: TableNames, begin: Begin
) -> None:
    dynamodb.create_table(
        TableName=tables.sales,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[
            {"AttributeName": "id", "AttributeType": "N"},
            {"AttributeName": "day", "AttributeType": "S"},
        ],
        ProvisionedThroughput={"ReadCapacityUnits": 7, "WriteCapacityUnits": 3},
        GlobalSecondaryIndexes=[
            {
                "IndexName": "by-day",
                "KeySchema": [{"AttributeName": "day", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "KEYS_ONLY"},
                "ProvisionedThroughput": {"ReadCapacityUnits": 2, "WriteCapacityUnits": 1},
            }
        ],
    )
    for number in range(40):
        dynamodb.put_item(
            TableName=tables.sales, Item={"id": {"N": str(number)}, "day": {"S": "monday"}}
        )
    work = begin()
    restore(work, backed_up(work, tables.sales), tables.buyers, (), agreed=False)
    made = dynamodb.describe_table(TableName=tables.buyers)["Table"]
    assert made["ProvisionedThroughput"]["ReadCapacityUnits"] == 7
    (index,) = made["GlobalSecondaryIndexes"]
    assert index["IndexName"] == "by-day"
    assert index["Projection"]["ProjectionType"] == "KEYS_ONLY"
    assert index["ProvisionedThroughput"]["WriteCapacityUnits"] == 1
    found = dynamodb.scan(TableName=tables.buyers)["Items"]
    assert sorted(int(each["id"]["N"]) for each in found) == list(range(40))


def test_over_what_is_there_it_says_what_would_change_and_waits_to_be_told(
    dynamodb: DynamoDBClient, tables: TableNames, begin: Begin
) -> None:
    fill(dynamodb, tables.sales, 60)
    before = contents(dynamodb, tables.sales)
    work = begin()
    folder = backed_up(work, tables.sales)
    dynamodb.delete_item(TableName=tables.sales, Key=_key(3))
    dynamodb.put_item(TableName=tables.sales, Item={**item(4), "name": {"S": "edited"}})
    dynamodb.put_item(TableName=tables.sales, Item=item(77))
    edited = contents(dynamodb, tables.sales)

    with pytest.raises(ConfigurationError) as caught:
        restore(work, folder, tables.sales, (), agreed=False)
    for words in (
        "has 60 items, of which 58 already equal",
        "add 1 item: SALE#3 METADATA",
        "replace 1 item: SALE#4 METADATA",
        "delete 1 item: SALE#77 METADATA",
    ):
        assert words in caught.value.message
    assert "--yes" in caught.value.remedy
    assert contents(dynamodb, tables.sales) == edited

    done = restore(work, folder, tables.sales, (), agreed=True)
    assert (done.added, done.replaced, done.deleted) == (1, 1, 1)
    assert contents(dynamodb, tables.sales) == before
    kept = BackupFolder.open(Path(work.config.backups) / done.kept_as)
    keys = {orjson.loads(line)["Item"]["PK"]["S"] for line in kept.items()}
    assert keys == edited.keys()


def test_an_equal_table_is_left_alone_without_a_question(
    dynamodb: DynamoDBClient, tables: TableNames, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(dynamodb, tables.sales, 10)
    work = begin()
    folder = backed_up(work, tables.sales)
    monkeypatch.setattr(restoring, "_write", None)
    done = restore(work, folder, tables.sales, (), agreed=False)
    assert (done.added, done.replaced, done.deleted) == (0, 0, 0)


def test_a_restore_cut_short_is_repeated_to_its_end(
    dynamodb: DynamoDBClient, tables: TableNames, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(dynamodb, tables.sales, 400)
    work = begin(workers=1)
    folder = backed_up(work, tables.sales)
    original = BatchWriter.write
    sent = []

    def stopping(self: Any, lines: Any) -> Any:
        sent.append(len(lines))
        if len(sent) == 4:
            work.stop.request()
        return original(self, lines)

    with monkeypatch.context() as patch:
        patch.setattr(BatchWriter, "write", stopping)
        with pytest.raises(Interrupted):
            restore(work, folder, tables.buyers, (), agreed=False)
    part = len(contents(dynamodb, tables.buyers))
    assert 0 < part < 400
    with pytest.raises(ConfigurationError, match="add"):
        restore(begin(), folder, tables.buyers, (), agreed=False)
    done = restore(begin(), folder, tables.buyers, (), agreed=True)
    assert done.added == 400 - part
    assert contents(dynamodb, tables.buyers) == contents(dynamodb, tables.sales)


def _cut(folder: BackupFolder) -> None:
    part = folder.path / folder.entry.parts[-1].file
    part.write_bytes(part.read_bytes()[:-20])


def _edit(folder: BackupFolder) -> None:
    part = folder.path / folder.entry.parts[0].file
    content = bytearray(part.read_bytes())
    content[len(content) // 2] ^= 1
    part.write_bytes(bytes(content))


def _edit_description(folder: BackupFolder) -> None:
    description = folder.path / "backup.json"
    text = description.read_bytes()
    description.write_bytes(text.replace(b'"items": 50', b'"items": 49'))


@pytest.mark.parametrize("damage", [_cut, _edit, _edit_description])
@pytest.mark.parametrize("encrypted", [False, True])
def test_a_backup_cut_short_or_edited_changes_nothing(
    dynamodb: DynamoDBClient,
    tables: TableNames,
    begin: Begin,
    damage: Callable[[BackupFolder], None],
    encrypted: bool,
) -> None:
    fill(dynamodb, tables.sales, 50)
    key = pyrage.x25519.Identity.generate()
    work = begin(recipient=str(key.to_public()) if encrypted else None)
    folder = backed_up(work, tables.sales)
    damage(folder)
    with pytest.raises(ArtifactError) as caught:
        restore(work, BackupFolder.open(folder.path), tables.buyers, (key,), agreed=True)
    assert folder.path.name in caught.value.message
    assert tables.buyers not in dynamodb.list_tables()["TableNames"]


def test_a_backup_encrypted_for_someone_else_changes_nothing(
    dynamodb: DynamoDBClient, tables: TableNames, begin: Begin
) -> None:
    fill(dynamodb, tables.sales, 50)
    owner, stranger = pyrage.x25519.Identity.generate(), pyrage.x25519.Identity.generate()
    work = begin(recipient=(str(owner.to_public()),))
    folder = backed_up(work, tables.sales)
    with pytest.raises(ArtifactError, match="encrypted for someone else"):
        restore(work, folder, tables.buyers, (stranger,), agreed=True)
    with pytest.raises(ConfigurationError, match="is encrypted") as caught:
        restore(work, folder, tables.buyers, (), agreed=True)
    assert "--identity FILE" in caught.value.remedy
    assert tables.buyers not in dynamodb.list_tables()["TableNames"]
    restore(work, folder, tables.buyers, (owner,), agreed=False)
    assert contents(dynamodb, tables.buyers) == contents(dynamodb, tables.sales)


def test_a_backup_of_another_schema_changes_nothing(
    aws: EmbeddedAws, dynamodb: DynamoDBClient, tables: TableNames, begin: Begin
) -> None:
    fill(dynamodb, tables.sales, 20)
    target = TargetConfig(
        use_local_stack=True,
        endpoint=aws.endpoint_url,
        buyers_table=tables.buyers,
        producers_table=tables.producers,
    )
    indexed = [
        TableSpec("buyers", (Index("by-code", "GSI1PK", "GSI1SK"),)),
        TableSpec("producers", (Index("by-code", "GSI1SK", "GSI1PK"),)),
    ]
    prepare_tables(target, indexed, create=True)
    work = begin()
    with pytest.raises(TargetError) as caught:
        restore(work, backed_up(work, tables.buyers), tables.sales, (), agreed=True)
    assert "lacks the index by-code" in caught.value.message
    with pytest.raises(TargetError, match=r"index by-code has the key GSI1SK \(S\), GSI1PK \(S\)"):
        restore(work, backed_up(work, tables.buyers), tables.producers, (), agreed=True)
    assert len(contents(dynamodb, tables.sales)) == 20


def test_a_table_that_somebody_else_writes_to_is_not_called_restored(
    dynamodb: DynamoDBClient, tables: TableNames, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(dynamodb, tables.sales, 20)
    work = begin()
    folder = backed_up(work, tables.sales)
    original = restoring._write

    def meanwhile(*arguments: Any) -> None:
        original(*arguments)
        dynamodb.put_item(TableName=tables.buyers, Item=item(99))

    monkeypatch.setattr(restoring, "_write", meanwhile)
    with pytest.raises(TargetError, match="0 items to add, 0 to replace, 1 to delete"):
        restore(work, folder, tables.buyers, (), agreed=False)


def test_the_list_shows_what_is_whole_and_what_is_not(
    dynamodb: DynamoDBClient, tables: TableNames, begin: Begin
) -> None:
    fill(dynamodb, tables.sales, 20)
    work = begin()
    whole, cut, edited = (
        back_up(work, tables.sales, f"{tables.sales}-2026010{day}-000000") for day in (1, 2, 3)
    )
    _cut(cut)
    _edit(edited)
    (Path(work.config.backups) / f"{tables.sales}-20260104-000000.partial").mkdir()
    quick = listed(Path(work.config.backups), thorough=False)
    assert [each.state for each in quick] == [
        whole.entry.verified_at,
        "BROKEN",
        edited.entry.verified_at,
        "UNFINISHED",
    ]
    thorough = listed(Path(work.config.backups), thorough=True)
    assert [bool(each.problem) for each in thorough] == [False, True, True, True]


def _key(number: int) -> Any:
    return {name: item(number)[name] for name in ("PK", "SK")}
