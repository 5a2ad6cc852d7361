"""A migration as a job of a managed Spark: what it is made of, whoever runs it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from utils.config import SPARK, Config, DataInS3
from utils.error_handler import ConfigurationError
from utils.fleet.machines.code_archive import TOOL
from utils.job.entry import ARCHIVE
from utils.settings.config_safety import is_by_variable, secrets_in
from utils.wording.invocation import again
from utils.working_copy.place import Place

NAME = "s9-migration"
SCRIPT = "s9_migration_job.py"
_PIN = re.compile(r"^([A-Za-z0-9._-]+==[A-Za-z0-9.]+)", re.M)
_VARIABLE = re.compile(r"\$\{[A-Za-z_][A-Za-z0-9_]*\}")
_ROLE = re.compile(r"arn:(aws[a-z-]*):iam::(\d{12}):role/(?:[\w+=,.@-]+/)*([\w+=,.@-]+)")
SECRET = re.compile(r"arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:\d{12}:secret:[\w/+=.@-]+")


@dataclass(frozen=True)
class Job:
    """What is asked for. `to` is where in S3 the job's own files are to be, `role` the ARN of what
    it may do; `secret` is the ARN of the one that has the variables of the configuration (""); of
    the network in which S9 is reached there are `connection` (Glue's name), `subnets` and
    `security_groups` (EMR's)."""

    config: Config
    to: Place
    role: str
    workers: int
    secret: str = ""
    connection: str = ""
    subnets: tuple[str, ...] = ()
    security_groups: tuple[str, ...] = ()
    rights: Sequence[tuple[str, str]] = field(default=(), repr=False)

    @property
    def archive(self) -> str:
        """Where the zip of the tool is."""
        return self.to.url(f"{self.to.prefix}/{ARCHIVE}")

    @property
    def script(self) -> str:
        """Where the script is that starts it."""
        return self.to.url(f"{self.to.prefix}/{SCRIPT}")

    @property
    def arguments(self) -> dict[str, str]:
        """What the script is told."""
        given = {"--migrate": "--full"}
        return {**given, "--secret": self.secret} if self.secret else given

    @property
    def region(self) -> str:
        """That of the target, in which the job runs as well."""
        return self.config.target.region

    @property
    def partition(self) -> str:
        """The one of AWS: "aws", "aws-cn", …"""
        return self._role[1]

    @property
    def data(self) -> Place:
        """Where the files of the run are kept."""
        assert isinstance(self.config.data, DataInS3)
        return Place.parse(self.config.data.place)

    @property
    def account(self) -> str:
        """The account of the role, in which everything is."""
        return self._role[2]

    @property
    def role_name(self) -> str:
        return self._role[3]

    @property
    def _role(self) -> re.Match[str]:
        return role_of(self.role)

    @property
    def tables(self) -> dict[str, str]:
        """The ARNs of the tables, by entity."""
        place = f"arn:{self.partition}:dynamodb:{self.region}:{self.account}:table"
        target = self.config.target
        return {name: f"{place}/{target.table(name)}" for name in ("buyers", "producers", "sales")}


def role_of(text: str) -> re.Match[str]:
    """The parts of a role's ARN: partition, account, name. Raises ConfigurationError."""
    found = _ROLE.fullmatch(text)
    if found is None:
        raise ConfigurationError(
            f"{text} is not the ARN of a role",
            remedy="give it whole: --role arn:aws:iam::111122223333:role/S9Migration",
        )
    return found


def place_in_s3(text: str) -> Place:
    """Where the job's files are to be. Raises ConfigurationError."""
    if not re.fullmatch(r"s3://[a-z0-9][a-z0-9.-]{2,62}/[\w.=+-][\w./=+-]*", text):
        raise ConfigurationError(
            f"{text} is no place in S3", remedy="give one as s3://bucket/prefix"
        )
    return Place.parse(text)


def pins() -> list[str]:
    """The packages that the tool needs, each with its version. Raises ConfigurationError where it
    is not known."""
    path = TOOL / "requirements.txt"
    if not path.is_file():
        raise ConfigurationError(
            f"{path} is not there, which says what packages the job needs",
            remedy=f"put it back beside migrate.py; then: {again()}",
        )
    return _PIN.findall(path.read_text(encoding="utf-8"))


def require_fit(job: Job, document: Mapping[str, Any], file: Path) -> None:
    """Raise ConfigurationError with everything for which the configuration of this job (and the
    `document` of its `file`, variables unresolved) cannot be a job's."""
    if wrong := [
        *_unfit(job.config, document),
        *_misplaced(job.config, job.to),
        *_unknown(job, document),
    ]:
        raise ConfigurationError(
            f"{file} cannot be the configuration of a job:\n  " + "\n  ".join(wrong),
            remedy=f"mend that; then: {again()}",
        )


def _unknown(job: Job, document: Mapping[str, Any]) -> Iterator[str]:
    """Variables without a value of their own are in the secret, or nowhere."""
    named = sorted(set(_VARIABLE.findall(orjson.dumps(document).decode())))
    if named and not job.secret:
        yield (
            f"it names {', '.join(named)}, which a job's machines do not have: put the values in a "
            "secret of AWS Secrets Manager, a JSON object of variables and values, and name it "
            "(--secret)"
        )


def _misplaced(config: Config, to: Place) -> Iterator[str]:
    """What is in the way of each other in S3."""
    if not isinstance(config.data, DataInS3):
        yield (
            "data.directory is a directory, and the disk of a job is gone with it: set it to a "
            "place in S3, s3://bucket/prefix"
        )
    else:
        data = Place.parse(config.data.place)
        inside = to.bucket == data.bucket and f"{to.prefix}/".startswith(f"{data.prefix}/")
        if inside:
            yield f"--to {to} is within data.directory ({data}): name another prefix"
        elif to.bucket == data.bucket and f"{data.prefix}/".startswith(f"{to.prefix}/"):
            yield (
                f"data.directory ({data}) is within --to {to}, and what is there is taken away "
                "with the job's files: name another prefix"
            )
    s3 = config.load.s3
    if config.load.imports and s3.bucket == to.bucket and _are_nested(s3.prefix, to.prefix):
        yield (
            f"--to {to} and load.s3.prefix ({s3.prefix}) are within each other, and each is "
            "emptied when it has done its work: name another prefix"
        )


def _are_nested(one: str, other: str) -> bool:
    ways = f"{one.rstrip('/')}/", f"{other.rstrip('/')}/"
    return ways[0].startswith(ways[1]) or ways[1].startswith(ways[0])


def _unfit(config: Config, document: Mapping[str, Any]) -> Iterator[str]:
    if config.engine.type != SPARK:
        yield "engine.type is local, and a job's machines are Spark's: set it to spark"
    elif config.engine.master:
        yield f"engine.master is {config.engine.master}: leave it out, the service says what it is"
    for setting, value in secrets_in(document):
        if not is_by_variable(value):
            yield (
                f"{setting} stands there in clear: write ${{S9_PASSWORD}}, for example, and put "
                "the value in a secret of AWS Secrets Manager (--secret)"
            )
    if config.target.endpoint_url:
        yield f"the target is reached at {config.target.endpoint_url}, which is no AWS"
    if config.target.profile:
        yield (
            f"target.profile is {config.target.profile}, which a job's machines do not have: leave "
            "it out, the role is who they are"
        )
    for setting in ("data", "backup"):
        if getattr(config, setting).identity:
            yield (
                f"{setting}.identity is a file of this machine, and a secret: leave it out, it is "
                "only for reading what is encrypted"
            )
