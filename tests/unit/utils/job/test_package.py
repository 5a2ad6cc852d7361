"""What `package` makes is what AWS takes: by botocore's own models of its services, and by the
policies that the tool's documents have."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import botocore.session
import orjson
import pytest
from botocore.validate import ParamValidator
from click.testing import CliRunner

from migrate import cli, rights_of_migration
from tests.support.places import ROOT
from utils.job import emr_serverless, glue
from utils.job.plan import Job, pins, place_in_s3
from utils.job.policy import policy_of, trust_of
from utils.settings.config_file import load_config

ROLE = "arn:aws:iam::111122223333:role/service/S9Migration"
SECRET = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:s9-AbCdEf"
PASSWORD = "gelsomino-4711"
TO = "s3://our-migration/job"
CONFIG: dict[str, Any] = {
    "source": {"host": "db.example.com", "database": "s9", "password": "${S9_PASSWORD}"},
    "target": {"region": "eu-west-1"},
    "data": {"directory": "s3://our-migration/data"},
    "engine": {"type": "spark"},
}
POLICIES = orjson.loads((ROOT / "docs" / "iam-policy.json").read_bytes())["policies"]


def config_file(directory: Path, **sections: Any) -> Path:
    path = directory / "config.json"
    path.write_bytes(orjson.dumps({**CONFIG, **sections}))
    path.chmod(0o600)
    return path


@pytest.fixture
def job(tmp_path: Path) -> Job:
    config = load_config(config_file(tmp_path), {"S9_PASSWORD": PASSWORD})
    bare = Job(config, place_in_s3(TO), ROLE, 5)
    return replace(bare, rights=tuple(rights_of_migration(config, bare.tables, bare.partition)))


def assert_is_taken(service: str, operation: str, given: dict[str, Any]) -> None:
    model = botocore.session.get_session().get_service_model(service).operation_model(operation)
    shape = model.input_shape
    assert shape is not None
    assert given.keys() <= shape.members.keys()
    report = ParamValidator().validate({"clientToken": "once", **given}, shape)
    assert not report.has_errors() or "clientToken" in report.generate_report(), (
        report.generate_report()
    )
    unknown = [each for each in report.generate_report().splitlines() if "clientToken" not in each]
    assert not unknown


def test_glue_takes_the_job(job: Job) -> None:
    for version in glue.VERSIONS:
        made = glue.job_json(replace(job, connection="to-s9", secret=SECRET), version, "G.1X")
        assert_is_taken("glue", "CreateJob", made)
        arguments = made["DefaultArguments"]
        assert (arguments["--migrate"], arguments["--secret"]) == ("--full", SECRET)
        assert all(isinstance(each, str) for each in arguments.values())


def test_emr_serverless_takes_the_job(job: Job) -> None:
    near = replace(job, subnets=("subnet-1a2b",), security_groups=("sg-1a2b",))
    assert_is_taken("emr-serverless", "CreateApplication", emr_serverless.application_json(near))
    run = emr_serverless.run_json(near, "00abcdef12345678")
    assert_is_taken("emr-serverless", "StartJobRun", run)


def test_every_pinned_package_is_named() -> None:
    wanted = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    assert len(pins()) == sum(not line.startswith("#") for line in wanted if line.strip())
    assert "boto3==" in ",".join(pins())


def actions_in(policy: dict[str, Any]) -> dict[str, set[str]]:
    """What a policy allows, by resource."""
    found: dict[str, set[str]] = {}
    for statement in policy["Statement"]:
        assert statement["Effect"] == "Allow"
        for resource in statement["Resource"]:
            found.setdefault(resource, set()).update(statement["Action"])
    return found


@pytest.mark.parametrize("service", ["glue", "emr-serverless"])
def test_the_role_may_do_what_the_documents_say_and_fetch_the_tool(job: Job, service: str) -> None:
    allowed = actions_in(policy_of(job, service))
    wanted: dict[str, set[str]] = {}
    for name in ("load", "backup", "verify", "rollback", "dataInS3"):
        for resource, actions in actions_in(POLICIES[name]).items():
            wanted.setdefault(resource, set()).update(actions)
    beside = {
        resource: actions
        for resource, actions in allowed.items()
        if not actions <= wanted.get(resource, set())
    }
    assert {action.partition(":")[0] for each in beside.values() for action in each} == {
        "logs",
        "s3",
    }
    assert allowed["arn:aws:s3:::our-migration/job/*"] == {"s3:GetObject"}
    # A backup can do without these (load/target/rights.py).
    spare = {"dynamodb:DescribeTimeToLive", "dynamodb:ListTagsOfResource"}
    for resource, actions in wanted.items():
        assert actions - spare <= allowed[resource], resource
    assert "*" not in allowed


def test_a_secret_and_a_network_are_allowed_where_there_are_such(job: Job) -> None:
    allowed = actions_in(policy_of(replace(job, secret=SECRET, connection="to-s9"), "glue"))
    assert allowed[SECRET] == {"secretsmanager:GetSecretValue"}
    place = "arn:aws:glue:eu-west-1:111122223333"
    assert allowed[f"{place}:connection/to-s9"] == {"glue:GetConnection"}
    assert not any(each.startswith("ec2:Create") for each in allowed["*"])
    ec2 = "arn:aws:ec2:eu-west-1:111122223333"
    assert allowed[f"{ec2}:subnet/*"] == {"ec2:CreateNetworkInterface"}
    assert trust_of("glue")["Statement"][0]["Principal"] == {"Service": "glue.amazonaws.com"}


def test_what_is_sent_to_cloudwatch_is_allowed(job: Job, tmp_path: Path) -> None:
    asked = {"cloudWatch": True, "cloudWatchMetrics": True}
    config = load_config(config_file(tmp_path, logging=asked), {"S9_PASSWORD": PASSWORD})
    policy = policy_of(replace(job, config=config), "glue")
    wanted = POLICIES["cloudWatch"]["Statement"]
    names = {statement["Sid"] for statement in wanted}
    assert [each for each in policy["Statement"] if each["Sid"] in names] == wanted
    assert not names & {each["Sid"] for each in policy_of(job, "glue")["Statement"]}


@pytest.mark.parametrize(
    ("key", "resource", "alias"),
    [
        ("1234-ab", "arn:aws:kms:eu-west-1:111122223333:key/1234-ab", None),
        ("arn:aws:kms:eu-south-1:999:key/7", "arn:aws:kms:eu-south-1:999:key/7", None),
        ("alias/s9", "arn:aws:kms:eu-west-1:111122223333:key/*", "alias/s9"),
    ],
)
def test_the_key_of_the_files_may_be_used(
    job: Job, tmp_path: Path, key: str, resource: str, alias: str | None
) -> None:
    data = {**CONFIG["data"], "s3": {"kmsKey": key}}
    config = load_config(config_file(tmp_path, data=data), {"S9_PASSWORD": PASSWORD})
    policy = policy_of(replace(job, config=config), "glue")
    assert actions_in(policy)[resource] == {"kms:Decrypt", "kms:GenerateDataKey"}
    [statement] = [each for each in policy["Statement"] if each["Sid"] == "UseKey1"]
    told = statement.get("Condition", {}).get("ForAnyValue:StringEquals", {})
    assert told.get("kms:ResourceAliases") == ([alias] if alias else None)


def test_the_role_of_emr_serverless_makes_no_interfaces(job: Job) -> None:
    near = replace(job, subnets=("subnet-1a2b",), security_groups=("sg-1a2b",))
    allowed = actions_in(policy_of(near, "emr-serverless"))
    assert not [each for actions in allowed.values() for each in actions if "ec2:" in each]


def packaged(config: Path, *options: str) -> Any:
    output = str(config.parent / "package")
    given = {"--to": TO, "--role": ROLE, "--secret": SECRET, "--output": output}
    given.update(zip(options[::2], options[1::2], strict=True))
    words = [word for pair in given.items() for word in pair]
    typed = ["--config", str(config), "package", "glue", *words]
    return CliRunner(env={"S9_PASSWORD": PASSWORD}).invoke(cli, typed)


def test_the_folder_has_what_is_typed_of_and_no_secret(tmp_path: Path) -> None:
    authority = tmp_path / "rds.pem"
    authority.write_text("a certificate", encoding="utf-8")
    source = {**CONFIG["source"], "sslRootCert": str(authority)}
    ended = packaged(config_file(tmp_path, source=source))
    assert ended.exit_code == 0, ended.output
    folder = tmp_path / "package"
    made = sorted(path.name for path in folder.iterdir())
    assert made == [
        "README.md",
        "glue-job.json",
        "role-policy.json",
        "role-trust.json",
        "s9-migration.zip",
        "s9_migration_job.py",
    ]
    with zipfile.ZipFile(folder / "s9-migration.zip") as archive:
        names = set(archive.namelist())
        config = orjson.loads(archive.read("config.json"))
        assert archive.read("s9-authority.pem") == b"a certificate"
    assert {"migrate.py", "utils/schemas/buyer.json", "extract/engine.py"} <= names
    assert not any(name.startswith(("tests", "data", "docs")) for name in names)
    assert config["source"]["password"] == "${S9_PASSWORD}"
    assert config["source"]["sslRootCert"] == "s9-authority.pem"
    guide = (folder / "README.md").read_text(encoding="utf-8")
    for name in made[1:4]:
        assert name in guide
    assert f"aws s3 cp . {TO}/" in guide
    again = packaged(config_file(tmp_path, source=source))
    assert again.exit_code == 0, again.output


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        ({"engine": {"type": "local"}}, "set it to spark"),
        ({"engine": {"type": "spark", "master": "local[2]"}}, "engine.master is local[2]"),
        ({"data": {"directory": "data"}}, "s3://bucket/prefix"),
        ({"data": {"directory": "s3://our-migration/"}}, "s3://"),
        ({"source": {**CONFIG["source"], "password": PASSWORD}}, "source.password stands there"),
        ({"target": {"endpoint": "http://localhost:8000"}}, "which is no AWS"),
        ({"target": {"profile": "mine"}}, "target.profile is mine"),
        ({"data": {"directory": "s3://our-migration/job"}}, "name another prefix"),
        ({"data": {"directory": "s3://our-migration/job/data"}}, "is taken away with the job"),
    ],
)
def test_what_cannot_be_a_job_is_refused_by_name(
    tmp_path: Path, sections: dict[str, Any], said: str
) -> None:
    ended = packaged(config_file(tmp_path, **sections))
    assert ended.exit_code == 2, ended.output
    assert said in ended.output
    assert PASSWORD not in ended.output
    assert not (tmp_path / "package").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--role", "S9Migration"), "is not the ARN of a role"),
        (("--secret", "s9"), "is not the ARN of a secret"),
        (("--to", "bucket/prefix"), "is no place in S3"),
        (("--to", "s3://our-migration/it's"), "is no place in S3"),
        (("--output", __file__), "is no folder"),
        (("--subnet", "subnet-1"), "are for emr-serverless"),
    ],
)
def test_what_is_no_name_of_aws_is_refused(
    tmp_path: Path, options: tuple[str, ...], said: str
) -> None:
    ended = packaged(config_file(tmp_path), *options)
    assert ended.exit_code == 2, ended.output
    assert said in ended.output


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "package"
    folder.mkdir()
    (folder / "mine").touch()
    ended = packaged(config_file(tmp_path))
    assert ended.exit_code == 2, ended.output
    assert [path.name for path in folder.iterdir()] == ["mine"]


def test_variables_that_the_job_would_not_have_are_named(tmp_path: Path) -> None:
    source = {**CONFIG["source"], "host": "${S9_HOST}", "database": "${S9_NAME:-s9}"}
    config = config_file(tmp_path, source=source)
    output = ["--output", str(tmp_path / "package")]
    typed = ["--config", str(config), "package", "glue", "--to", TO, "--role", ROLE, *output]
    given = {"S9_PASSWORD": PASSWORD, "S9_HOST": "db.example.com"}
    ended = CliRunner(env=given).invoke(cli, typed)
    assert ended.exit_code == 2, ended.output
    assert "names ${S9_HOST}, ${S9_PASSWORD}, which" in ended.output
    ended = CliRunner(env=given).invoke(cli, [*typed, "--secret", SECRET])
    assert ended.exit_code == 0, ended.output


def test_a_package_made_again_keeps_what_was_made_for_it(tmp_path: Path) -> None:
    config, folder = config_file(tmp_path), tmp_path / "package"
    given = ["--config", str(config), "package", "emr-serverless", "--to", TO, "--role", ROLE]
    typed = [*given, "--secret", SECRET, "--output", str(folder)]
    runner = CliRunner(env={"S9_PASSWORD": PASSWORD})
    assert runner.invoke(cli, typed).exit_code == 0
    run = orjson.loads((folder / "emr-run.json").read_bytes())
    assert run["applicationId"] == "APPLICATION"
    (folder / "emr-run.json").write_bytes(orjson.dumps({**run, "applicationId": "00f1"}))
    (folder / "s9-migration-venv.tar.gz").touch()
    ended = runner.invoke(cli, typed)
    assert ended.exit_code == 0, ended.output
    assert orjson.loads((folder / "emr-run.json").read_bytes())["applicationId"] == "00f1"
    assert (folder / "s9-migration-venv.tar.gz").exists()
