"""Configuration: what an operator can set, with its default, its limits and its meaning.

This file is the one declaration: the typed object, the JSON Schema that checks a file, the
example and the tables of docs/configuration.md all come from the dataclasses below. Reading a file
is the work of utils/settings/config_file.py.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from functools import cache
from typing import Any, get_type_hints

from utils.entities import ENTITIES, field_of, shape_of
from utils.wording.masking import conceal

PHASE_NAMES = ("extract", "transform", "validate", "load", "verify")
SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
LAYOUTS = ("s9", "i2_speedex")
FAIL, SKIP, OVERWRITE, NEWER = "fail", "skip", "overwrite", "newer"
BATCH, IMPORT, BULK = "batch", "import", "bulk"
LOCAL, SPARK = "local", "spark"
DELETE, SOFT_DELETE, KEEP, REMOVE = "delete", "softDelete", "keep", "remove"
MOST_IN_FLIGHT = 128
DEFAULT_SCANS = 16
LOCALSTACK_ENDPOINT = "http://localhost:4566"


class Secret(str):
    """A text that never shows itself: its repr, also inside other objects' repr, is ***, and it is
    taken out of every message from the moment when it is known."""

    def __new__(cls, text: str) -> Secret:
        conceal(text)
        return super().__new__(cls, text)

    def __repr__(self) -> str:
        return "***"


def setting(default: Any, doc: str, **schema: Any) -> Any:
    """Declare one setting: its default, its meaning, and the JSON Schema of its value."""
    return field(default=default, metadata={"doc": doc, "schema": schema})


def words(doc: str, **schema: Any) -> Any:
    """Declare a setting that maps words to words; the default is none."""
    return field(default_factory=dict, metadata={"doc": doc, "schema": schema})


def section(kind: type) -> Any:
    """Declare a section of settings, all of them at their defaults."""
    return field(default_factory=kind)


def is_table_name(text: object) -> bool:
    """Whether `text` can be a table's name; such a name is a file's name as well."""
    return isinstance(text, str) and bool(re.match(_TABLE_NAME, text))


def _optional_text(**schema: Any) -> dict[str, Any]:
    return {"type": ["string", "null"], **schema}


_TEXT = {"type": "string", "minLength": 1}
_FLAG = {"type": "boolean"}
_TABLE_NAME = r"^(?!\.+\Z)[A-Za-z0-9_.-]{3,255}\Z"
_TABLE = {"type": "string", "pattern": _TABLE_NAME}
_FILE = {"minLength": 1, "format": "path"}
_LARGEST = 2**53  # what JSON's readers agree upon, and every count of this world
_UNITS = {"type": ["integer", "null"], "minimum": 1, "maximum": _LARGEST}
_PRICE = {"type": "number", "minimum": 0, "maximum": 1_000_000}
_AGE_KEY = {"type": "string", "pattern": r"^(age1[0-9a-z]+|ssh-(ed25519|rsa) \S+.*)\Z"}
_AGE_KEYS = {
    "anyOf": [{"type": "null"}, _AGE_KEY, {"type": "array", "items": _AGE_KEY, "minItems": 1}]
}
_WORDS = {"type": "object", "additionalProperties": {"type": "string", "minLength": 1}}
_TIMESTAMP = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z\Z"


@dataclass(frozen=True)
class SourceConfig:
    """Where S9 is."""

    type: str = setting(
        "postgresql",
        "kind of database; `mysql` is MySQL and MariaDB",
        enum=["postgresql", "mysql"],
    )
    layout: str = setting("s9", "table layout of this S9 installation", enum=list(LAYOUTS))
    host: str = setting(
        "localhost",
        "host name, or the directory of a Unix socket (mysql: its file)",
        type="string",
        pattern=r"^(/.*|[^\s/@]+)\Z",
    )
    port: int | None = setting(
        None,
        "TCP port; default: 5432, of mysql 3306",
        type=["integer", "null"],
        minimum=1,
        maximum=65535,
    )
    database: str = setting(
        "s9",
        "database name",
        type="string",
        minLength=1,
        format="name",  # a URL, or libpq's words, would bring a password along
    )
    username: str = setting("s9_reader", "account; best one that can only read", **_TEXT)
    password: Secret = setting(Secret(""), "its password: write `${S9_PASSWORD}`", type="string")
    ssl: bool | str = setting(
        True,
        "`true` verifies certificate and host name, `false` is for private networks; or a libpq "
        "sslmode: " + ", ".join(SSL_MODES),
        anyOf=[{"type": "boolean"}, {"enum": list(SSL_MODES)}],
    )
    ssl_root_cert: str | None = setting(
        None,
        "file with the certificate authority's certificate; default: the system's",
        **_optional_text(**_FILE),
    )
    schema: str = setting("public", "schema of S9's tables (not of mysql)", **_TEXT)
    connection_timeout: int = setting(
        10, "seconds to wait for a connection", type="integer", minimum=1, maximum=600
    )
    timezone: str = setting(
        "Europe/Rome", "time zone of S9's timestamps (IANA name)", **_TEXT, format="timezone"
    )

    @property
    def tcp_port(self) -> int:
        """The port to connect to."""
        return self.port or (3306 if self.type == "mysql" else 5432)

    def identity(self) -> dict[str, str | int]:
        """What tells one source from another; never credentials."""
        return {
            "type": self.type,
            "layout": self.layout,
            "host": self.host,
            "port": self.tcp_port,
            "database": self.database,
            "schema": self.schema,
        }


@dataclass(frozen=True)
class TargetConfig:
    """Where the Sale Module's tables are."""

    region: str = setting("eu-west-1", "AWS region", type="string", pattern=r"^[a-z0-9-]{4,30}\Z")
    profile: str | None = setting(
        None,
        "profile of the AWS credentials files; default: the usual chain",
        **_optional_text(minLength=1),
    )
    sales_table: str = setting("SalesTable-dev", "table of sales and their lines", **_TABLE)
    buyers_table: str = setting("BuyersTable-dev", "table of buyers", **_TABLE)
    producers_table: str = setting("ProducersTable-dev", "table of producers", **_TABLE)
    endpoint: str | None = setting(
        None,
        "URL of a DynamoDB-compatible service instead of AWS",
        **_optional_text(format="endpoint"),
    )
    use_local_stack: bool = setting(
        False,
        f"a server that speaks AWS at `{LOCALSTACK_ENDPOINT}` (or at `endpoint`), no credentials",
        **_FLAG,
    )
    create_tables: bool | None = setting(
        None,
        "create missing tables with their indexes; default: only with `useLocalStack`",
        type=["boolean", "null"],
    )

    @property
    def endpoint_url(self) -> str | None:
        """The URL to talk to, None for AWS itself."""
        if self.endpoint:
            return self.endpoint
        return LOCALSTACK_ENDPOINT if self.use_local_stack else None

    @property
    def creates_tables(self) -> bool:
        return self.use_local_stack if self.create_tables is None else self.create_tables

    def identity(self) -> dict[str, str]:
        """What tells one target from another; never credentials."""
        return {
            "endpoint": self.endpoint_url or "AWS",
            "region": self.region,
            **{json_name(each.table_setting): self.table(each.name) for each in ENTITIES},
        }

    def table(self, entity: str) -> str:
        """The table of an entity's items. Raises Undeclared."""
        name = field_of(self, shape_of(entity).table_setting, "TargetConfig (utils/config.py)")
        return str(name)


@dataclass(frozen=True)
class MigrationConfig:
    """How the migration runs."""

    batch_size: int = setting(
        25, "items in one BatchWriteItem", type="integer", minimum=1, maximum=25
    )
    max_retries: int = setting(
        10, "retries of one request before the run stops", type="integer", minimum=0, maximum=1000
    )
    retry_delay: float = setting(
        0.1,
        "seconds before the first retry at most, also fractions; `maxRetries` delays together (a "
        "minute with the defaults) are how long an outage may last",
        type="number",
        minimum=0.001,
        maximum=60000,
    )
    exponential_backoff: bool = setting(
        True, "double the delay with every retry, up to 20 seconds (or `retryDelay`)", **_FLAG
    )
    continue_on_error: bool = setting(
        False, "put refused records into quarantine and continue, instead of stopping", **_FLAG
    )
    backup_before_load: bool = setting(
        True, "back up every target table before anything is written to it", **_FLAG
    )
    rollback_on_failure: bool = setting(
        False, "undo the load, as `migrate.py rollback` does, when it fails for good", **_FLAG
    )
    validate_after_load: bool = setting(True, "run the verify phase after the load", **_FLAG)
    batch_delay: int = setting(
        0,
        "milliseconds that a sender rests after each batch",
        type="integer",
        minimum=0,
        maximum=60000,
    )
    dry_run: bool = setting(False, "as `--dry-run`: nothing is written to the target", **_FLAG)
    workers: int | None = setting(
        None,
        "most requests in flight at once; default: as many as it takes to be fast",
        type=["integer", "null"],
        minimum=1,
        maximum=MOST_IN_FLIGHT,
    )
    processes: int | None = setting(
        None,
        "processes that share the work; default: as many as the machine has cores",
        type=["integer", "null"],
        minimum=1,
        maximum=64,
    )
    max_write_units: int | None = setting(
        None,
        "write units a second that the load may consume; default: no limit",
        **_UNITS,
    )

    @property
    def scans(self) -> int:
        """How many segments of a table are read at once, where their number is fixed before it is
        known how fast they come: pages are large, so that few are needed to keep a process busy."""
        return min(self.workers or DEFAULT_SCANS, DEFAULT_SCANS)


@dataclass(frozen=True)
class EngineConfig:
    """Who does the pure work of the phases."""

    type: str = setting(
        LOCAL,
        "`local`: the processes of this machine; `spark`: a Spark cluster, part by part",
        enum=[LOCAL, SPARK],
    )
    master: str | None = setting(
        None,
        "Spark's master, such as `local[4]` or `spark://host:7077`; default: what spark-submit was "
        "told, or all cores of this machine",
        **_optional_text(minLength=1),
    )
    parts: int | None = setting(
        None,
        "parts into which an entity is cut; default: one for about a hundred thousand items",
        type=["integer", "null"],
        minimum=1,
        maximum=100_000,
    )
    readers: int = setting(
        8,
        "parts of S9 that are read at the same time, over two connections each",
        type="integer",
        minimum=1,
        maximum=500,
    )


@dataclass(frozen=True)
class S3Config:
    """Where in S3 the files of an import are put, and what becomes of them."""

    bucket: str | None = setting(
        None,
        "bucket for the files of an import, in the region of the tables",
        **_optional_text(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]\Z"),
    )
    prefix: str = setting(
        "s9-import",
        "below which the files of each import get a place of their own",
        type="string",
        pattern=r"^[A-Za-z0-9!_.*'()-]+(/[A-Za-z0-9!_.*'()-]+)*\Z",
        maxLength=500,
    )
    owner: str | None = setting(
        None,
        "account that must own the bucket (12 digits); default: not looked at",
        **_optional_text(pattern=r"^[0-9]{12}\Z"),
    )
    kms_key: str | None = setting(
        None,
        "key in AWS KMS (id or ARN) that encrypts the files; default: as the bucket does",
        **_optional_text(minLength=1),
    )
    keep_objects: bool = setting(
        False, "leave the files in S3 after a verification has passed", **_FLAG
    )


@dataclass(frozen=True)
class NewTablesConfig:
    """What a table that was imported is given afterwards: an import cannot do it itself."""

    point_in_time_recovery: bool = setting(False, "turn on point-in-time recovery", **_FLAG)
    deletion_protection: bool = setting(False, "protect the tables against deletion", **_FLAG)
    stream: str | None = setting(
        None,
        "turn on a stream that shows `KEYS_ONLY`, `NEW_IMAGE`, `OLD_IMAGE` or `NEW_AND_OLD_IMAGES`",
        enum=[None, "KEYS_ONLY", "NEW_IMAGE", "OLD_IMAGE", "NEW_AND_OLD_IMAGES"],
    )
    time_to_live: Mapping[str, str] = words(
        "entity → attribute by which DynamoDB deletes items of its table",
        type="object",
        propertyNames={"enum": [each.name for each in ENTITIES]},
        additionalProperties={"type": "string", "minLength": 1, "maxLength": 255},
    )
    tags: Mapping[str, str] = words(
        "tags of the tables: key → value",
        type="object",
        propertyNames={"minLength": 1, "maxLength": 128},
        additionalProperties={"type": "string", "maxLength": 256},
        maxProperties=50,
    )

    def named(self, entity: str) -> list[str]:
        """What the table of an entity is given, in the words of the settings."""
        given = {
            "pointInTimeRecovery": self.point_in_time_recovery,
            "deletionProtection": self.deletion_protection,
            f"stream {self.stream}": self.stream,
            f"timeToLive {self.time_to_live.get(entity)}": entity in self.time_to_live,
            **{f"tag {key}": True for key in self.tags},
        }
        return [name for name, is_given in given.items() if is_given]


@dataclass(frozen=True)
class LoadConfig:
    """How the load writes, and what it does with what it finds."""

    on_conflict: str = setting(
        FAIL,
        "when a table already holds other content under a migrated key: `fail` before the first "
        "write, `skip` the record, `overwrite` it, or replace it only when ours is `newer` by "
        "`updatedAt`",
        enum=[FAIL, SKIP, OVERWRITE, NEWER],
    )
    method: str = setting(
        BATCH,
        "`batch` writes items into tables that may hold others; `import` has DynamoDB import the "
        "files from S3 into new tables; `bulk` (StartBulkPutItems) is known, and refused: it is "
        "untried",
        enum=[BATCH, IMPORT, BULK],
    )
    s3: S3Config = section(S3Config)
    new_tables: NewTablesConfig = section(NewTablesConfig)

    @property
    def imports(self) -> bool:
        """Whether a migration is loaded by import from S3."""
        return self.method == IMPORT


@dataclass(frozen=True)
class SyncConfig:
    """What `sync` does with records that were migrated and are not to be migrated any more."""

    removed: str = setting(
        DELETE,
        "records that S9 no longer has, or has disabled: `delete` them, `softDelete` them as the "
        "Sale Module does (`deletedAt`), or `keep` them; what the application has changed stays",
        enum=[DELETE, SOFT_DELETE, KEEP],
    )
    refused: str = setting(
        KEEP,
        "records that were migrated and are in quarantine now: `keep` them as they are, or "
        "`remove` them as `removed` says",
        enum=[KEEP, REMOVE],
    )
    max_retained_log: int = setting(
        1024,
        "megabytes of its log that S9 (PostgreSQL) may keep for `sync --follow`: beyond, it is "
        "warned; still kept a minute after all is brought over, it ends and gives them free, and "
        "the next one compares everything. MySQL and MariaDB keep nothing for it: only warned",
        type="integer",
        minimum=1,
        maximum=_LARGEST,
    )


@dataclass(frozen=True)
class EntityExtraction:
    """Which records of an entity are extracted."""

    query: str | None = setting(
        None, "a SELECT instead of the built-in one", **_optional_text(minLength=1)
    )
    where: str | None = setting(
        None, "a condition in addition to the query, in SQL", **_optional_text(minLength=1)
    )
    limit: int | None = setting(
        None,
        "most records to read, for rehearsals",
        type=["integer", "null"],
        minimum=1,
        maximum=_LARGEST,
    )


@dataclass(frozen=True)
class ExtractionConfig:
    """What is read from S9."""

    buyers: EntityExtraction = section(EntityExtraction)
    producers: EntityExtraction = section(EntityExtraction)
    sales: EntityExtraction = section(EntityExtraction)
    disabled_parties: str = setting(
        "exclude",
        "`exclude` disabled parties, take those `referenced` by an enabled sale, or `all`",
        enum=["exclude", "referenced", "all"],
    )

    def of(self, entity: str) -> EntityExtraction:
        """The settings of one entity. Raises Undeclared."""
        chosen: EntityExtraction = field_of(
            self, shape_of(entity).name, "ExtractionConfig (utils/config.py)"
        )
        return chosen


@dataclass(frozen=True)
class PlaceholderParty:
    """The party that stands in where a sale names none."""

    id: int | None = setting(
        None,
        "its key in S9, where it is a party that is migrated like any other",
        type=["integer", "null"],
        minimum=-_LARGEST,
        maximum=_LARGEST,
    )
    name: str = setting(
        "Unknown", "its name on the sales that name no party", **_TEXT, maxLength=200
    )
    country: str = setting(
        "IT", "its country, ISO alpha-2 or alpha-3", type="string", pattern=r"^[A-Z]{2,3}\Z"
    )


@dataclass(frozen=True)
class TransformationConfig:
    """How rows become items."""

    generate_ids: bool = setting(
        True, "UUIDs derived from S9's keys; `false`: `BUYER12`, `SALE7`, …", **_FLAG
    )
    preserve_timestamps: bool = setting(
        True, "keep S9's creation and change times; `false`: the time of the migration", **_FLAG
    )
    default_currency: str = setting(
        "EUR", "currency of a sale without one", type="string", pattern=r"^[A-Z]{3}\Z"
    )
    default_language: str = setting(
        "it", "language of a party without one", enum=["it", "en", "de", "fr"]
    )
    migration_user: str = setting(
        "migration@system", "createdBy and updatedBy of records without a known user", **_TEXT
    )
    migration_timestamp: str | None = setting(
        None,
        "time of records without their own, `YYYY-MM-DDTHH:mm:ss.sssZ`; default: the first "
        "extract's",
        **_optional_text(pattern=_TIMESTAMP),
    )
    user_mapping: Mapping[str, str] = words("S9 user → user of the Sale Module", **_WORDS)
    status_mapping: Mapping[str, str] = words(
        "further words of S9 for a sale's status → draft, confirmed, invoiced, paid, cancelled",
        type="object",
        additionalProperties={"enum": ["draft", "confirmed", "invoiced", "paid", "cancelled"]},
    )
    missing_party: str = setting(
        "quarantine",
        "a sale without buyer or producer goes to `quarantine`, or gets the `placeholder` party",
        enum=["quarantine", "placeholder"],
    )
    placeholder_buyer: PlaceholderParty = section(PlaceholderParty)
    placeholder_producer: PlaceholderParty = section(PlaceholderParty)
    fractions_above_one: str = setting(
        "quarantine",
        "a line whose fraction (discount, VAT) is above 1 goes to `quarantine`, or the value is "
        "taken as `percent`, with a warning",
        enum=["quarantine", "percent"],
    )
    default_doc_type: str | None = setting(
        "invoice",
        "document type of a sale that has none in S9; `null` leaves it without",
        enum=["invoice", "proforma", None],
    )
    issued_statuses: tuple[str, ...] = setting(
        ("sent", "paid"),
        "S9's words for sales whose invoice was issued: the Sale Module may not change them "
        "(layout i2_speedex only, which has no column for it)",
        type="array",
        items={"type": "string", "minLength": 1},
    )
    updated_at: str = setting(
        "source",
        "`updatedAt` of every item is that of the `source`, or the moment of the `migration`, for "
        "browsers that only fetch what has changed since they last asked",
        enum=["source", "migration"],
    )


@dataclass(frozen=True)
class ValidationConfig:
    """What the gate before the load looks at."""

    strict_mode: bool = setting(False, "warnings count as errors", **_FLAG)
    validate_references: bool = setting(True, "the parties of every sale must be migrated", **_FLAG)
    check_duplicates: bool = setting(True, "keys, codes, sale numbers within a year", **_FLAG)
    business_rules: bool = setting(
        True, "VAT and tax codes, e-mails, IBANs, amounts that add up, …", **_FLAG
    )


@dataclass(frozen=True)
class VerifyConfig:
    """How the target is looked at after the load."""

    max_read_units: int | None = setting(
        None,
        "read units a second that a verification may consume, with all its scans, indexes and "
        "access patterns; default: no limit",
        **_UNITS,
    )
    sample: int | None = setting(
        100,
        "most records, buyers, producers … of which each access pattern is asked for; `null`: "
        "every one",
        type=["integer", "null"],
        minimum=1,
        maximum=_LARGEST,
    )


@dataclass(frozen=True)
class LoggingConfig:
    """What is told, and where."""

    level: str = setting(
        "INFO", "least severe message that is shown", enum=["DEBUG", "INFO", "WARNING", "ERROR"]
    )
    console: bool = setting(True, "show it on the screen", **_FLAG)
    file: bool = setting(True, "write migration.log and migration_errors.log", **_FLAG)
    max_file_size: float = setting(
        10,
        "megabytes (fractions allowed) after which a log file becomes NAME.1, and an empty one is "
        "begun",
        type="number",
        minimum=0.001,
        maximum=1_000_000,
    )
    kept_files: int = setting(
        5,
        "full log files that are kept, NAME.1 the youngest",
        type="integer",
        minimum=1,
        maximum=99,
    )
    mask_personal_data: bool = setting(
        True,
        "names, codes, e-mails, phones, addresses and IBANs are masked in logs and reports; "
        "`false` shows them",
        **_FLAG,
    )
    cloud_watch: bool = setting(
        False,
        "send the lines of migration.log to CloudWatch Logs as well (not in a dry run)",
        **_FLAG,
    )
    cloud_watch_group: str = setting(
        "/migration/s9",
        "log group; made if there is none",
        type="string",
        pattern=r"^[A-Za-z0-9_/.#-]{1,512}\Z",
    )
    cloud_watch_stream: str | None = setting(
        None,
        "log stream; default: the id of the run (`commands` for commands without one)",
        **_optional_text(pattern=r"^[^:*{}\x00-\x1f]{1,512}\Z"),
    )
    cloud_watch_metrics: bool = setting(
        False,
        "send metrics to CloudWatch, namespace `Migration`, while a run is at work (not in a dry "
        "run)",
        **_FLAG,
    )


@dataclass(frozen=True)
class CheckpointConfig:
    """How a run remembers how far it is."""

    enabled: bool = setting(True, "save progress inside an entity", **_FLAG)
    interval: int = setting(
        100,
        "fewest records between two checkpoints",
        type="integer",
        minimum=1,
        maximum=_LARGEST,
    )


@dataclass(frozen=True)
class BackupConfig:
    """What is kept of the target tables, and how."""

    enabled: bool = setting(
        True, "`false`: no backup before a load, only by `migrate.py backup`", **_FLAG
    )
    directory: str | None = setting(
        None,
        "where backups go; default: `backups` in `data.directory`",
        **_optional_text(**_FILE),
    )
    compress: bool = setting(True, "gzip", **_FLAG)
    recipient: str | tuple[str, ...] | None = setting(
        None, "age public key (`age1…`), or a list: backups are encrypted for them", **_AGE_KEYS
    )
    identity: str | None = setting(
        None,
        "file with the age secret key that opens encrypted backups, as `--identity`",
        **_optional_text(**_FILE),
    )
    point_in_time_recovery: str = setting(
        "ignore",
        "`require` it on every table, `enable` it where it is off, or `ignore`",
        enum=["require", "enable", "ignore"],
    )
    native: bool = setting(
        False, "also take an on-demand backup in AWS, and wait until it is AVAILABLE", **_FLAG
    )
    max_read_units: int | None = setting(
        None, "read units a second that a backup may consume; default: no limit", **_UNITS
    )


@dataclass(frozen=True)
class DataS3Config:
    """How files are kept in S3, where `data.directory` is a place there."""

    owner: str | None = setting(
        None,
        "account that must own the bucket (12 digits); default: not looked at",
        **_optional_text(pattern=r"^[0-9]{12}\Z"),
    )
    kms_key: str | None = setting(
        None,
        "key in AWS KMS (id or ARN) that encrypts the files; default: as the bucket does",
        **_optional_text(minLength=1),
    )


@dataclass(frozen=True)
class DataConfig:
    """Where artifacts and reports go."""

    directory: str = setting(
        "data",
        "directory of artifacts, checkpoints and reports, or a place in S3: `s3://bucket/prefix`",
        type="string",
        **_FILE,
    )
    recipient: str | tuple[str, ...] | None = setting(
        None,
        "age public key, or a list: the files of records are encrypted for them when a run ends",
        **_AGE_KEYS,
    )
    identity: str | None = setting(
        None,
        "file with the age secret key that opens them again, as `--identity`",
        **_optional_text(**_FILE),
    )
    working_copy: str = setting(
        "data",
        "directory of this machine in which the files of a place in S3 are worked on",
        type="string",
        **_FILE,
    )
    s3: DataS3Config = section(DataS3Config)


@dataclass(frozen=True)
class DataInS3(DataConfig):
    """The same of files that are kept in S3, at the `place` that the configuration names:
    `directory` is their working copy on this machine (utils/working_copy)."""

    place: str = ""


@dataclass(frozen=True)
class PricesConfig:
    """What AWS asks, to say what a migration costs: list prices of one region and day.

    The defaults are those of us-east-1 without free tier or discount; regions differ.
    """

    region: str = setting(
        "us-east-1", "AWS region of these prices", type="string", pattern=r"^[a-z0-9-]{4,30}\Z"
    )
    as_of: str = setting(
        "2024-11-01",
        "day since which these prices have held, `YYYY-MM-DD`",
        type="string",
        pattern=r"^\d{4}-\d{2}-\d{2}\Z",
    )
    currency: str = setting(
        "USD", "currency of these prices", type="string", pattern=r"^[A-Z]{3}\Z"
    )
    write_units: float = setting(
        0.625, "a million write units on demand, those of indexes are counted as well", **_PRICE
    )
    read_units: float = setting(0.125, "a million read units on demand", **_PRICE)
    import_gigabyte: float = setting(
        0.15, "import from S3, a GB (2^30 bytes) of the files before they are compressed", **_PRICE
    )
    s3_gigabyte_month: float = setting(
        0.023, "a GB in S3 for a month: where the files of an import lie", **_PRICE
    )

    def on_demand(self, write_units: float, read_units: float) -> float:
        """What so many units cost on demand, in `currency`."""
        return (write_units * self.write_units + read_units * self.read_units) / 1_000_000


@dataclass(frozen=True)
class Config:
    """Everything an operator has decided, checked whole."""

    source: SourceConfig = section(SourceConfig)
    target: TargetConfig = section(TargetConfig)
    migration: MigrationConfig = section(MigrationConfig)
    engine: EngineConfig = section(EngineConfig)
    load: LoadConfig = section(LoadConfig)
    sync: SyncConfig = section(SyncConfig)
    extraction: ExtractionConfig = section(ExtractionConfig)
    transformation: TransformationConfig = section(TransformationConfig)
    validation: ValidationConfig = section(ValidationConfig)
    verify: VerifyConfig = section(VerifyConfig)
    logging: LoggingConfig = section(LoggingConfig)
    checkpoint: CheckpointConfig = section(CheckpointConfig)
    backup: BackupConfig = section(BackupConfig)
    data: DataConfig = section(DataConfig)
    prices: PricesConfig = section(PricesConfig)

    @property
    def backups(self) -> str:
        """The directory of the backups."""
        return self.backup.directory or f"{self.data.directory}/backups"


def as_configured(config: Config) -> Config:
    """The same as the file says it, where files are kept in S3."""
    data = config.data
    if not isinstance(data, DataInS3):
        return config
    said = DataConfig(data.place, data.recipient, data.identity, data.working_copy, data.s3)
    return replace(config, data=said)


def json_name(python_name: str) -> str:
    """The name of a setting in the file: camelCase of the attribute's snake_case."""
    head, *rest = python_name.split("_")
    return head + "".join(word.capitalize() for word in rest)


_hints = cache(get_type_hints)  # asked for every setting, and worked out from texts each time


def section_type(owner: type, name: str) -> type | None:
    """The dataclass of a section, None when `name` is a plain setting of `owner`."""
    hint = _hints(owner)[name]
    return hint if isinstance(hint, type) and is_dataclass(hint) else None


def json_schema(kind: type = Config) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a configuration file."""
    properties: dict[str, Any] = {}
    for declared in fields(kind):
        inner = section_type(kind, declared.name)
        properties[json_name(declared.name)] = (
            json_schema(inner)
            if inner
            else {"description": declared.metadata["doc"], **declared.metadata["schema"]}
        )
    return {"type": "object", "additionalProperties": False, "properties": properties}


def defaults(kind: type = Config) -> dict[str, Any]:
    """Every setting with its default, in the shape of a configuration file."""
    result: dict[str, Any] = {}
    for declared in fields(kind):
        inner = section_type(kind, declared.name)
        plain = {} if declared.default_factory is dict else declared.default
        result[json_name(declared.name)] = defaults(inner) if inner else plain
    return result
