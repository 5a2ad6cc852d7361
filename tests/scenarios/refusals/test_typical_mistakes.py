"""What a new operator gets wrong: `check` says what it is, and what it says to do, done, works.

Each row: what is wrong, which check fails with which words, and how its remedy is carried out.
Where it can be typed as it stands, it is; where it names what only the operator knows (a host, a
password), what it names is corrected.
"""

from __future__ import annotations

import shutil
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest
from mypy_boto3_dynamodb import DynamoDBClient

from tests.conftest import S9Database, TableNames
from tests.scenarios.conftest import hire
from tests.support.aws.tables import create, schema, strings
from tests.support.aws.ways import read_once
from tests.support.operators.newcomer import CONFIGURATION, Newcomer
from tests.support.operators.operator import Operator, small_trade
from tests.support.places import ROOT
from utils.checking.check import MACHINE, SOURCE, TARGET, failures
from utils.embedded.aws import EmbeddedAws

Act = Callable[[Newcomer], object]
KEYS = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "x" * 40}


@dataclass(frozen=True)
class Mistake:
    """`mend` None: the remedy is typed as it stands."""

    name: str
    make: Act
    check: str
    words: tuple[str, ...]
    mend: Act | None = None
    names: str = ""  # what the remedy says is to be corrected


def setting(section: str, **values: Any) -> Act:
    return lambda desk: desk.configure(section, **values)


def right(section: str, name: str) -> Act:
    """The value that the setting had before."""

    def mend(desk: Newcomer) -> None:
        good = orjson.loads((desk.directory / "good.json").read_bytes())
        desk.configure(section, **{name: good[section][name]})

    return mend


def variable(name: str, value: str | None) -> Act:
    def act(desk: Newcomer) -> None:
        desk.environ.pop(name, None)
        if value is not None:
            desk.environ[name] = value

    return act


def sql(*statements: str) -> Act:
    def act(desk: Newcomer) -> None:
        assert desk.s9
        for each in statements:
            desk.s9.execute(each.format(reader=desk.s9.server.reader))

    return act


def closed_port(desk: Newcomer) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        desk.configure("source", port=probe.getsockname()[1])


def port_of_another(desk: Newcomer) -> None:
    desk.configure("source", port=int(desk.config["target"]["endpoint"].rpartition(":")[2]))


def password(desk: Newcomer) -> None:
    assert desk.s9
    desk.environ["S9_PASSWORD"] = desk.s9.server.reader_password


def password_in_dot_env(desk: Newcomer) -> None:
    assert desk.s9
    line = f"S9_PASSWORD={desk.s9.server.reader_password}\n"
    (desk.directory / ".env").write_text(line)


def unreadable_dot_env(desk: Newcomer) -> None:
    (desk.directory / ".env").write_bytes("OFFICE=però\n".encode("latin-1"))


def readable_dot_env(desk: Newcomer) -> None:
    (desk.directory / ".env").write_text("OFFICE=però\n", encoding="utf-8")


def slip(desk: Newcomer) -> None:
    desk.text = orjson.dumps(desk.config).decode()[:-1] + ",}"


def no_slip(desk: Newcomer) -> None:
    desk.text = None


def unknown_key(desk: Newcomer) -> None:
    desk.config["source"]["hostname"] = desk.config["source"].pop("host")


def known_key(desk: Newcomer) -> None:
    desk.config["source"]["host"] = desk.config["source"].pop("hostname")


def no_file(desk: Newcomer) -> None:
    desk.text = ""
    (desk.directory / "config.json").unlink(missing_ok=True)


def the_example(desk: Newcomer) -> None:
    """Copied, and filled in."""
    example = orjson.loads((ROOT / "config.json.example").read_bytes())
    desk.text = None
    for section in ("source", "target"):
        example[section].update(desk.config[section])
    desk.config = example


CONFIGURED = [
    Mistake("no-file", no_file, CONFIGURATION, ("there is no configuration file",), the_example,
            "copy config.json.example to config.json"),
    Mistake("json", slip, CONFIGURATION, ("not valid JSON",), no_slip, "no comma after the last"),
    Mistake("unknown-key", unknown_key, CONFIGURATION, ('source.hostname', 'did you mean "host"?'),
            known_key, "correct the file"),
    Mistake("no-variable", variable("S9_PASSWORD", None), CONFIGURATION,
            ("S9_PASSWORD is not set", "put it in .env"), password_in_dot_env),
    Mistake("dot-env", unreadable_dot_env, CONFIGURATION, (".env", "not UTF-8"), readable_dot_env,
            "save it as UTF-8"),
]  # fmt: skip

OF_S9 = [
    Mistake("host", setting("source", host="s9.invalid"), "connection", ("cannot be resolved",),
            right("source", "host"), "source.host"),
    Mistake("port", closed_port, "connection", ("nothing listens there",),
            right("source", "port"), "source.port"),
    Mistake("port-of-another", port_of_another, "connection", ("not PostgreSQL",),
            right("source", "port"), "source.port"),
    Mistake("type", setting("source", type="mysql", connectionTimeout=1), "connection",
            ("did not complete the login",), right("source", "type"), "source.type"),
    Mistake("password", variable("S9_PASSWORD", "not-it"), "connection", ("or the password is",),
            password, "source.password"),
    Mistake("account", setting("source", username="s9_raeder"), "connection",
            ("s9_raeder",), right("source", "username"), "source.username"),
    Mistake("database", setting("source", database="S9"), "connection",
            ('there is no database "S9"',), right("source", "database"), "source.database"),
    Mistake("schema", setting("source", schema="erp"), "table msg_anag",
            ("there is no table msg_anag", "schema erp")),
    Mistake("layout", setting("source", layout="i2_speedex"), "table buyers",
            ("there is no table buyers",)),
    Mistake("no-tables", setting("source", database="postgres"), "table msg",
            ("there is no table msg",), right("source", "database"), "source.database"),
    Mistake("column", sql("ALTER TABLE msg RENAME COLUMN status TO stato_vendita"), "table msg",
            ("status or stato", "not known: stato_vendita")),
    Mistake("no-select", sql("REVOKE SELECT ON msg_line FROM {reader}"), "table msg_line",
            ("s9_reader may not read msg_line",)),
    Mistake("no-usage", sql("REVOKE USAGE ON SCHEMA public FROM PUBLIC, {reader}"), "schema",
            ("may not use the schema public",)),
    Mistake("row-security", sql("ALTER TABLE msg ENABLE ROW LEVEL SECURITY",
                                "CREATE POLICY p ON msg FOR SELECT USING (first_id > 10)"),
            "table msg", ("row level security on msg",)),
    Mistake("tls", setting("source", ssl=True), "connection", ("offers no TLS",),
            setting("source", ssl=False), "source.ssl: false"),
    Mistake("no-authority", setting("source", ssl="verify-full", sslRootCert="ca.pem"),
            "connection", ("cannot be read from ca.pem",),
            setting("source", ssl=False, sslRootCert=None), "source.sslRootCert"),
    Mistake("where", setting("extraction", sales={"where": "sale_nummer > 5"}),
            "selection of sales", ("sale_nummer",),
            setting("extraction", sales={"where": "sale_number > 5"}), "extraction.sales"),
]  # fmt: skip


@pytest.fixture(autouse=True, scope="module")
def _read_once() -> Iterator[None]:
    with read_once():
        yield


@pytest.fixture
def desk(
    tmp_path: Path, s9: S9Database, aws: EmbeddedAws, dynamodb: DynamoDBClient, tables: TableNames
) -> Iterator[Newcomer]:
    """A newcomer for whom everything is as it should be, and no table is there yet."""
    hired = hire(tmp_path, s9, aws, tables)
    (tmp_path / "good.json").write_bytes(orjson.dumps(hired.config))
    yield Newcomer(tmp_path, hired.config, hired.environment, s9, dynamodb)
    s9.execute(f"ALTER ROLE {s9.server.reader} NOBYPASSRLS")


def ids(mistakes: list[Mistake]) -> Any:
    return {"argvalues": mistakes, "ids": [each.name for each in mistakes]}


@pytest.mark.parametrize("mistake", **ids(CONFIGURED + OF_S9))
def test_a_mistake_about_s9_is_told_and_what_it_says_to_do_works(
    desk: Newcomer, mistake: Mistake
) -> None:
    desk.sides = (SOURCE,)
    assert_told_and_mended(desk, mistake)


def assert_told_and_mended(desk: Newcomer, mistake: Mistake) -> None:
    mistake.make(desk)
    said = desk.first_failure(mistake.check)
    for word in mistake.words:
        assert word in said.found, said
    if mistake.mend:
        assert mistake.names in said.remedy, said
        mistake.mend(desk)
    else:
        desk.carries_out(said.remedy)
    assert failures(desk.check()) == [], said


# ---------------------------------------------------------------------------------------------
# The target
# ---------------------------------------------------------------------------------------------

GSI = "GSI1-QueryByCode"


def make(entity: str, **changes: Any) -> Act:
    """A table is not as it should be, the others are."""

    def act(desk: Newcomer) -> None:
        assert desk.dynamodb
        for each in ("sales", "buyers", "producers"):
            name = desk.config["target"][f"{each}Table"]
            create(desk.dynamodb, name, each, **(changes if each == entity else {}))
        desk.configure("target", createTables=False)

    return act


def index(name: str, *keys: str, projection: str = "ALL") -> dict[str, Any]:
    projected = {"ProjectionType": projection}
    return {"IndexName": name, "KeySchema": schema(*keys), "Projection": projected}


_STATUS = index("GSI2-QueryByStatus", "GSI2PK", "GSI2SK")
WITHOUT_AN_INDEX = {
    "GlobalSecondaryIndexes": [_STATUS],
    "AttributeDefinitions": strings("PK", "SK", "GSI2PK", "GSI2SK"),
}
WRONG_INDEX = {
    "GlobalSecondaryIndexes": [_STATUS, index(GSI, "GSI1SK", "GSI1PK")],
}
NARROW_INDEX = {
    "GlobalSecondaryIndexes": [_STATUS, index(GSI, "GSI1PK", "GSI1SK", projection="KEYS_ONLY")],
}
ANOTHER_KEY = {
    "KeySchema": schema("id", "SK"),
    "AttributeDefinitions": strings("id", "SK", "GSI1PK", "GSI1SK", "GSI2PK", "GSI2SK"),
}


def expires(desk: Newcomer) -> None:
    make("sales")(desk)
    assert desk.dynamodb
    desk.dynamodb.update_time_to_live(
        TableName=desk.config["target"]["salesTable"],
        TimeToLiveSpecification={"Enabled": True, "AttributeName": "saleNumber"},
    )


def mistyped(desk: Newcomer) -> None:
    make("sales")(desk)
    desk.configure("target", buyersTable="Buyer-dev")


def real_account(desk: Newcomer) -> None:
    """No LocalStack: credentials are asked for."""
    desk.configure("target", useLocalStack=False, createTables=True)


def expired(desk: Newcomer) -> None:
    real_account(desk)
    desk.environ |= {**KEYS, "AWS_CREDENTIAL_EXPIRATION": "2020-01-01T00:00:00Z"}


def no_profile(desk: Newcomer) -> None:
    real_account(desk)
    desk.environ |= KEYS
    desk.configure("target", profile="prod-eu")


def endpoint_variable(desk: Newcomer) -> None:
    """The server is named in the environment, as it is called among containers."""
    real_account(desk)
    del desk.config["target"]["endpoint"]
    desk.environ |= {**KEYS, "AWS_ENDPOINT_URL": "http://local_stack:4566"}


def good_variable(desk: Newcomer) -> None:
    good = orjson.loads((desk.directory / "good.json").read_bytes())
    desk.environ["AWS_ENDPOINT_URL"] = good["target"]["endpoint"]


def keys(desk: Newcomer) -> None:
    desk.environ.pop("AWS_CREDENTIAL_EXPIRATION", None)
    desk.environ |= KEYS


def another_region(desk: Newcomer) -> None:
    """The tables are in eu-west-1, as AWS's own settings say; the endpoint, too, is theirs."""
    make("sales")(desk)
    desk.environ |= {**KEYS, "AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-1"}
    desk.environ["AWS_ENDPOINT_URL"] = desk.config["target"].pop("endpoint")
    desk.configure("target", useLocalStack=False, region="us-east-1")


def their_region(desk: Newcomer) -> None:
    desk.configure("target", region="eu-west-1")


def without_recovery(desk: Newcomer) -> None:
    make("sales")(desk)
    desk.configure("backup", pointInTimeRecovery="require")


def somebody(desk: Newcomer) -> None:
    """Another machine's load is at work."""
    make("sales")(desk)
    assert desk.dynamodb
    from utils.files.artifacts import utc_now

    texts = {"owner": "x", "work": "a load", "run": "r1", "host": "h", "since": utc_now()}
    mark = {name: {"S": text} for name, text in {**texts, "renewed": utc_now()}.items()}
    key = {"PK": {"S": "MIGRATION#LOCK"}, "SK": {"S": "LOCK"}}
    desk.dynamodb.put_item(
        TableName=desk.config["target"]["salesTable"],
        Item={**key, **mark, "renewals": {"N": "1"}},
    )


def has_ended(desk: Newcomer) -> None:
    assert desk.dynamodb
    key = {"PK": {"S": "MIGRATION#LOCK"}, "SK": {"S": "LOCK"}}
    desk.dynamodb.delete_item(TableName=desk.config["target"]["salesTable"], Key=key)


OF_THE_TARGET = [
    Mistake("no-table", setting("target", createTables=False), "table ",
            ("there is no table",)),
    Mistake("table-name", mistyped, "table Buyer-dev", ("there is no table Buyer-dev",),
            right("target", "buyersTable"), "set target.buyersTable to its name"),
    Mistake("key", make("buyers", **ANOTHER_KEY), "table ", ("has the key id, SK, not PK, SK",)),
    Mistake("no-index", make("buyers", **WITHOUT_AN_INDEX), "table ", (f"lacks the index {GSI}",)),
    Mistake("index-key", make("buyers", **WRONG_INDEX), "table ", ("has the key GSI1SK, GSI1PK",)),
    Mistake("projection", make("producers", **NARROW_INDEX), "table ",
            ("does not project ALL",)),
    Mistake("expiry", expires, "expiry of", ("deletes items", "saleNumber")),
    Mistake("recovery", without_recovery, "point-in-time recovery of", ("requires it",)),
    Mistake("somebody-else", somebody, "at work on", ("somebody else", "a load of run r1 on h"),
            has_ended, "wait until that has ended"),
    Mistake("endpoint", setting("target", endpoint="http://127.0.0.1:9"), "connection",
            ("nothing listens there",), right("target", "endpoint"), "target.endpoint"),
    Mistake("no-credentials", real_account, "credentials", ("no AWS credentials were found",), keys,
            "environment"),
    Mistake("expired", expired, "credentials", ("AWS_ACCESS_KEY_ID",), keys, "in the future"),
    Mistake("endpoint-variable", endpoint_variable, "endpoint", ("a host's name has no _",),
            good_variable, "environment"),
    Mistake("profile", no_profile, "credentials", ("prod-eu does not exist",),
            setting("target", profile=None), "target.profile"),
    Mistake("region", another_region, "table ", ("in the region us-east-1",), their_region,
            'set target.region to "eu-west-1"'),
]  # fmt: skip


@pytest.mark.parametrize("mistake", **ids(OF_THE_TARGET))
def test_a_mistake_about_the_target_is_told_and_what_it_says_to_do_works(
    desk: Newcomer, mistake: Mistake
) -> None:
    desk.sides = (TARGET,)
    assert_told_and_mended(desk, mistake)


# ---------------------------------------------------------------------------------------------
# This machine
# ---------------------------------------------------------------------------------------------


def in_the_way(desk: Newcomer) -> None:
    (desk.directory / "data").write_text("a file")


def out_of_the_way(desk: Newcomer) -> None:
    (desk.directory / "data").rename(desk.directory / "moved away")


def anothers(desk: Newcomer) -> None:
    """The data directory belongs to the migration of another S9."""
    from utils.run.manifest import Manifest

    (desk.directory / "data").mkdir()
    manifest = Manifest.new()
    manifest.source = {"type": "mysql", "host": "old-s9"}
    manifest.save(desk.directory / "data" / "manifest.json")


OF_THE_MACHINE = [
    Mistake("file-in-the-way", in_the_way, "data directory", ("is no directory",), out_of_the_way,
            "move that away"),
    Mistake("not-writable", setting("data", directory="/proc/s9"), "data directory",
            ("cannot be written",), setting("data", directory="data"), "data.directory"),
    Mistake("backups", setting("backup", directory="/proc/s9"), "backup directory",
            ("cannot be written",), setting("backup", directory=None), "backup.directory"),
    Mistake("another-migration", anothers, "runs", ("the migration of another source",),
            setting("data", directory="its-own"), "its own data.directory"),
    Mistake("identity", setting("backup", identity="key.txt"), "backup.identity",
            ("key.txt",), setting("backup", identity=None), ""),
]  # fmt: skip


@pytest.mark.parametrize("mistake", **ids(OF_THE_MACHINE))
def test_a_mistake_about_the_machine_is_told_and_what_it_says_to_do_works(
    desk: Newcomer, mistake: Mistake
) -> None:
    desk.sides = (MACHINE,)
    assert_told_and_mended(desk, mistake)


def test_a_disk_that_is_too_small_is_told_before_it_is_full(
    desk: Newcomer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert desk.s9
    desk.sides = (SOURCE, MACHINE)
    small_trade(desk.s9)
    desk.s9.execute("ANALYZE")
    usage = shutil.disk_usage(desk.directory)
    monkeypatch.setattr(shutil, "disk_usage", lambda _place: usage._replace(free=1_000))
    said = desk.first_failure("disk space")
    assert "8 rows" in said.found
    assert "free some, or let data.directory name" in said.remedy
    monkeypatch.undo()
    assert failures(desk.check()) == []


def test_too_few_open_files_are_told_with_the_command_that_allows_more(
    alone: Operator, s9: S9Database
) -> None:
    import resource

    def few() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))

    outcome = alone.run("check", preexec=few).ended(1)
    assert "failed         open files: this process may have only 100 files" in outcome.stdout
    assert "`ulimit -n 4096`" in outcome.stdout
    alone.run("check", preexec=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (128, 4096)))
    alone.outcomes[-1].ended(0)
