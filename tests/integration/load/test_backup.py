"""Backups of real tables: complete, read back, continued after a kill, refused when damaged."""

from __future__ import annotations

import gzip
import hashlib
import stat
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pyrage
import pytest
from mypy_boto3_dynamodb import DynamoDBClient

from load.backup import part as backup_part
from load.backup import reader_pool, segment_reader
from load.backup.engine import back_up, is_stale, new_name, unfinished
from load.backup.folder import BackupFolder
from load.backup.page import PageReader
from tests.conftest import TableNames
from tests.integration.conftest import Begin, client_of, fill, item
from tests.support.aws.proxy import Answer, FaultyProxy, Plan, Request
from utils.dynamodb.item_content import normal_item
from utils.embedded.aws import EmbeddedAws
from utils.error_handler import ArtifactError, ConfigurationError, StorageError, TargetError
from utils.files.encryption import Identity, encrypt
from utils.interrupt import Interrupted

MOMENT = 1_770_000_000.0


def keys_in(folder: BackupFolder, *identities: Identity) -> list[str]:
    lines = [orjson.loads(line)["Item"] for line in folder.items(identities)]
    return sorted(each["PK"]["S"] for each in lines)


def test_a_backup_holds_every_item_and_says_what_the_table_was(
    judge: EmbeddedAws, table: str, begin: Begin
) -> None:
    fill(client_of(judge), table, 120)
    work = begin(judge.endpoint_url)
    folder = back_up(work, table, new_name(work.config, table, lambda: MOMENT))

    assert folder.path.name == f"{table}-20260202-024000"
    assert folder.entry.items == 120
    assert keys_in(folder) == sorted(f"SALE#{number}" for number in range(120))
    found = {orjson.loads(line)["Item"]["PK"]["S"]: line for line in folder.items()}
    expected = item(7)
    expected["bytes"] = {"B": "AP8="}
    line = orjson.loads(found["SALE#7"])["Item"]
    line["words"]["SS"].sort()
    assert line == expected
    assert folder.entry.table_description["KeySchema"][0]["AttributeName"] == "PK"
    assert folder.entry.tags == [{"Key": "owner", "Value": "sales"}]
    assert folder.entry.time_to_live is not None
    folder.check()


def tags_in_pages(*pages: tuple[str, str | None]) -> Plan:
    """ListTagsOfResource gives a tag a page; each page names the token of the next."""

    def decide(request: Request) -> Answer | None:
        if request.operation != "ListTagsOfResource":
            return None
        place = int(orjson.loads(request.body).get("NextToken", "0"))
        key, token = pages[place]
        more = {"NextToken": token} if token else {}
        return Answer(200, orjson.dumps({"Tags": [{"Key": key, "Value": ""}], **more}))

    return Plan(always=decide)


def test_tags_are_read_to_their_last_page(
    aws: EmbeddedAws, dynamodb: DynamoDBClient, tables: TableNames, begin: Begin
) -> None:
    fill(dynamodb, tables.sales, 1)
    with FaultyProxy(aws, tags_in_pages(("a", "1"), ("b", "2"), ("c", None))) as proxy:
        folder = back_up(begin(proxy.url), tables.sales, "tags-20260101-000000")
        assert [tag["Key"] for tag in folder.entry.tags or ()] == ["a", "b", "c"]
        proxy.plan = tags_in_pages(("a", "1"), ("b", "0"))
        with pytest.raises(TargetError, match="repeat without an end"):
            back_up(begin(proxy.url), tables.sales, "circle-20260101-000000")


def test_files_are_what_other_tools_read_and_nobody_else_may(
    aws: EmbeddedAws, dynamodb: DynamoDBClient, tables: TableNames, begin: Begin
) -> None:
    fill(dynamodb, tables.sales, 30)
    work = begin()
    folder = back_up(work, tables.sales, new_name(work.config, tables.sales))
    plain = b"".join(
        gzip.decompress((folder.path / part.file).read_bytes()) for part in folder.entry.parts
    )
    assert plain == b"".join(folder.items())
    for line in (folder.path / "SHA256SUMS").read_text().splitlines():
        digest, _, name = line.partition("  ")
        assert hashlib.sha256((folder.path / name).read_bytes()).hexdigest() == digest
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.path.iterdir()} == {0o600}
    assert {path.name for path in folder.path.iterdir()} == {
        "backup.json",
        "keys.bin",
        "SHA256SUMS",
        *(part.file for part in folder.entry.parts),
    }


def test_an_empty_table_has_a_backup_without_items(
    dynamodb: DynamoDBClient, tables: TableNames, begin: Begin
) -> None:
    fill(dynamodb, tables.sales, 0)
    folder = back_up(begin(), tables.sales, "empty-20260101-000000")
    assert (folder.entry.items, list(folder.items())) == (0, [])
    with folder.keys() as keys:
        assert keys.find(item(1)) is None


def test_the_key_index_knows_every_item_and_its_content(
    dynamodb: DynamoDBClient, tables: TableNames, begin: Begin
) -> None:
    fill(dynamodb, tables.sales, 200)
    folder = back_up(begin(), tables.sales, "keys-20260101-000000")
    with folder.keys() as keys:
        assert len(keys) == 200
        for line in folder.items():
            there = orjson.loads(line)["Item"]
            there["words"]["SS"].sort()
            entry = keys.find({"PK": there["PK"], "SK": there["SK"]})
            assert entry is not None
            assert keys.is_same(entry, there)
            assert entry.updated_at == "2026-01-30T08:00:00.000Z"
            assert entry.migrated is ("legacyId" in there)
            assert not keys.is_same(entry, {**there, "amount": {"N": "1"}})
        assert keys.find(item(200)) is None


def slow_scans(request: Request) -> None:
    """A reader that is alone has so much to wait for that another one is there in time."""
    if request.operation == "Scan":
        time.sleep(0.1)


def test_two_processes_make_the_backup_that_one_makes(
    aws: EmbeddedAws,
    dynamodb: DynamoDBClient,
    tables: TableNames,
    begin: Begin,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fill(dynamodb, tables.sales, 120)
    alone = back_up(begin(), tables.sales, "alone-20260101-000000")
    monkeypatch.setattr(reader_pool, "WORTH_IT", 0)
    monkeypatch.setattr(reader_pool, "_AT_ONCE", 1)
    original = reader_pool._ReaderPool._take
    wrote: set[int] = set()

    def noted(crew: Any, reader: int, said: Any) -> None:
        wrote.update({reader} if any(closed.part for closed in said.closed) else ())
        original(crew, reader, said)

    monkeypatch.setattr(reader_pool._ReaderPool, "_take", noted)
    key = pyrage.x25519.Identity.generate()
    with FaultyProxy(aws, Plan(always=slow_scans)) as proxy:
        work = begin(proxy.url, workers=8, recipient=str(key.to_public()))
        work.workers.count = 2
        with work.workers:
            shared = back_up(work, tables.sales, "shared-20260101-000000")
    assert wrote == {0, 1}
    assert sorted(shared.items((key,))) == sorted(alone.items())
    shared.check()
    with shared.keys() as keys:
        assert len(keys) == 120
        for line in alone.items():
            entry = keys.find(orjson.loads(line)["Item"])
            assert entry is not None
            assert keys.is_same(entry, normal_item(orjson.loads(line)["Item"]))


def test_a_backup_that_is_stopped_goes_on_and_reads_nothing_twice(
    dynamodb: DynamoDBClient, tables: TableNames, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(dynamodb, tables.sales, 300)
    monkeypatch.setattr(segment_reader, "PAGE_ITEMS", 10)
    work = begin()
    name = new_name(work.config, tables.sales)
    pages = []
    original = PageReader.read

    def counted(reader: PageReader, request: Any, body: bytes) -> Any:
        pages.append(len(orjson.loads(body)["Items"]))
        if len(pages) == 9:
            work.stop.request()
        return original(reader, request, body)

    monkeypatch.setattr(PageReader, "read", counted)
    with pytest.raises(Interrupted):
        back_up(work, tables.sales, name)
    assert unfinished(work.config, tables.sales) == name
    with pytest.raises(ArtifactError, match="never completed"):
        BackupFolder.open(Path(work.config.backups) / f"{name}.partial")

    folder = back_up(begin(), tables.sales, name)
    assert folder.entry.continued == 1
    assert keys_in(folder) == sorted(f"SALE#{number}" for number in range(300))
    assert sum(pages) == 300
    assert unfinished(work.config, tables.sales) is None


def test_a_table_that_was_made_anew_is_backed_up_from_the_start(
    dynamodb: DynamoDBClient, tables: TableNames, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(dynamodb, tables.sales, 60)
    monkeypatch.setattr(segment_reader, "PAGE_ITEMS", 10)
    work = begin()
    original = PageReader.read

    def stopping(reader: PageReader, request: Any, body: bytes) -> Any:
        work.stop.request()
        return original(reader, request, body)

    with monkeypatch.context() as patch:
        patch.setattr(PageReader, "read", stopping)
        with pytest.raises(Interrupted):
            back_up(work, tables.sales, "anew-20260101-000000")
    dynamodb.delete_table(TableName=tables.sales)
    fill(dynamodb, tables.sales, 5)
    folder = back_up(begin(), tables.sales, "anew-20260101-000000")
    assert (folder.entry.items, folder.entry.continued) == (5, 0)


@pytest.mark.parametrize("compress", [True, False])
def test_an_encrypted_backup_opens_for_each_recipient_and_for_nobody_else(
    dynamodb: DynamoDBClient, tables: TableNames, begin: Begin, compress: bool
) -> None:
    fill(dynamodb, tables.sales, 40)
    mine, yours, other = (pyrage.x25519.Identity.generate() for _ in range(3))
    public = (str(mine.to_public()), str(yours.to_public()))
    folder = back_up(
        begin(recipient=public, compress=compress), tables.sales, "sealed-20260101-000000"
    )
    assert keys_in(folder, mine) == keys_in(folder, yours)
    assert len(keys_in(folder, mine)) == 40
    with pytest.raises(ConfigurationError, match="is encrypted"):
        next(folder.items())
    with pytest.raises(ArtifactError, match="someone else"):
        next(folder.items((other,)))
    for path in folder.path.iterdir():
        assert b"SALE#" not in path.read_bytes()
        assert "Café".encode() not in path.read_bytes()
    folder.check()


@pytest.mark.parametrize("damage", ["cut", "edited", "missing", "description", "index"])
def test_a_damaged_backup_is_refused_and_named(
    dynamodb: DynamoDBClient, tables: TableNames, begin: Begin, damage: str
) -> None:
    fill(dynamodb, tables.sales, 40)
    folder = back_up(begin(), tables.sales, "broken-20260101-000000")
    part = folder.path / folder.entry.parts[0].file
    content = bytearray(part.read_bytes())
    content[len(content) // 2] ^= 1
    if damage == "cut":
        part.write_bytes(part.read_bytes()[:-1])
    elif damage == "edited":
        part.write_bytes(bytes(content))
    elif damage == "missing":
        part.unlink()
    elif damage == "index":
        (folder.path / "keys.bin").write_bytes(b"")
    else:
        description = folder.path / "backup.json"
        description.write_bytes(description.read_bytes().replace(b'"items": 40', b'"items": 41'))
    with pytest.raises(ArtifactError, match=r"broken-2026"):
        BackupFolder.open(folder.path).check()


def test_other_settings_begin_an_unfinished_backup_anew(
    dynamodb: DynamoDBClient, tables: TableNames, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise a part in clear would stay in a backup that is to be encrypted."""
    fill(dynamodb, tables.sales, 60)
    monkeypatch.setattr(segment_reader, "PAGE_ITEMS", 10)
    work = begin()
    original = PageReader.read

    def stopping(reader: PageReader, request: Any, body: bytes) -> Any:
        work.stop.request()
        return original(reader, request, body)

    with monkeypatch.context() as patch:
        patch.setattr(PageReader, "read", stopping)
        with pytest.raises(Interrupted):
            back_up(work, tables.sales, "secret-20260101-000000")
    key = pyrage.x25519.Identity.generate()
    folder = back_up(begin(recipient=str(key.to_public())), tables.sales, "secret-20260101-000000")
    assert len(keys_in(folder, key)) == 60
    assert all(part.file.endswith(".age") for part in folder.entry.parts)
    assert replace(folder.entry, parts=()).continued == 0


@pytest.mark.parametrize("encrypted", [False, True])
def test_a_disk_that_gives_back_something_else_is_noticed(
    dynamodb: DynamoDBClient,
    tables: TableNames,
    begin: Begin,
    monkeypatch: pytest.MonkeyPatch,
    encrypted: bool,
) -> None:
    fill(dynamodb, tables.sales, 20)
    key = pyrage.x25519.Identity.generate()
    original = backup_part.write_synced

    def flipping(path: Path, data: bytes) -> None:
        flipped = data[:-9] + bytes([data[-9] ^ 1]) + data[-8:] if ".partial" in path.name else data
        original(path, flipped)

    monkeypatch.setattr(backup_part, "write_synced", flipping)
    work = begin(recipient=str(key.to_public()) if encrypted else None)
    with pytest.raises(StorageError, match="cannot be read back as it was written"):
        back_up(work, tables.sales, "disk-20260101-000000")
    assert not (Path(work.config.backups) / "disk-20260101-000000").exists()


def test_what_is_packed_wrongly_is_noticed_when_it_is_read_back(
    dynamodb: DynamoDBClient, tables: TableNames, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bytes are on disk as they were meant; but they are not what was to be kept."""
    fill(dynamodb, tables.sales, 20)
    key = pyrage.x25519.Identity.generate()
    monkeypatch.setattr(
        "load.backup.part.encrypt", lambda data, keys: encrypt(data[:-12] + bytes(12), keys)
    )
    with pytest.raises(ArtifactError, match="disk-20260101-000000"):
        back_up(begin(recipient=str(key.to_public())), tables.sales, "disk-20260101-000000")


def test_an_old_unfinished_backup_is_not_gone_on_with(
    dynamodb: DynamoDBClient, tables: TableNames, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of yesterday's table and half of today's are no table that there ever was."""
    fill(dynamodb, tables.sales, 60)
    monkeypatch.setattr(segment_reader, "PAGE_ITEMS", 10)
    work = begin()
    original = PageReader.read

    def stopping(reader: PageReader, request: Any, body: bytes) -> Any:
        work.stop.request()
        return original(reader, request, body)

    with monkeypatch.context() as patch:
        patch.setattr(PageReader, "read", stopping)
        with pytest.raises(Interrupted):
            back_up(work, tables.sales, "old-20260101-000000")
    saved = Path(work.config.backups) / "old-20260101-000000.partial" / "progress.json"
    progress = orjson.loads(saved.read_bytes())
    assert unfinished(work.config, tables.sales) is None  # the name is of another table
    assert not is_stale(work.config, "old-20260101-000000")
    saved.write_bytes(orjson.dumps({**progress, "started_at": "2026-01-01T00:00:00Z"}))
    assert is_stale(work.config, "old-20260101-000000")
    renamed = saved.parent.rename(saved.parent.with_name(f"{tables.sales}-20260101-000000.partial"))
    assert unfinished(work.config, tables.sales) is None
    renamed.rename(saved.parent)
    folder = back_up(begin(), tables.sales, "old-20260101-000000")
    assert (folder.entry.items, folder.entry.continued) == (60, 0)
    assert folder.entry.started_at > "2026-01-02"
