"""`migrate.py package`: make what a managed Spark takes to run the migration as a job."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import orjson

from utils.cli.closings import said
from utils.cli.command_line import Caller, at_the_edge
from utils.config import Config
from utils.error_handler import ConfigurationError, ExitCode
from utils.files.storage import make_directory, write_atomically
from utils.fleet.machines.code_archive import write_code
from utils.job import emr_serverless, entry, glue, policy
from utils.job.guide import guide
from utils.job.plan import SCRIPT, SECRET, Job, pins, place_in_s3, require_fit, role_of
from utils.settings.config_file import parse

_GUIDE = "README.md"
_CONFIG, _AUTHORITY = "config.json", "s9-authority.pem"
_EMR_RUN = "emr-run.json"
_SERVICES = ("glue", "emr-serverless")
_FEWEST, _MOST = 2, 300


@click.command()
@click.argument("service", type=click.Choice(_SERVICES))
@click.option("--to", required=True, metavar="s3://…", help="Where the job's own files are to be.")
@click.option("--role", required=True, metavar="ARN", help="The role that the job has.")
@click.option("--secret", default="", metavar="ARN", help="Secret with the ${VARIABLES}.")
@click.option("--connection", default="", help="Glue's connection to the network of S9.")
@click.option("--subnet", multiple=True, help="EMR Serverless: a subnet of the network of S9.")
@click.option("--security-group", multiple=True, help="EMR Serverless: its security group.")
@click.option(
    "--workers",
    type=click.IntRange(_FEWEST, _MOST),
    default=5,
    show_default=True,
    help="Machines of 4 cores, of which Glue's first one runs the command.",
)
@click.option(
    "--glue-version",
    type=click.Choice(list(glue.VERSIONS)),
    default="5.1",
    show_default=True,
    help=f"{'; '.join(f'{name}: {what}' for name, what in glue.VERSIONS.items())}.",
)
@click.option(
    "--machine",
    type=click.Choice(list(glue.MACHINES)),
    default="G.1X",
    show_default=True,
    help="Glue's kind of machine; the first one's disk holds all files of the run.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    default=Path("package"),
    show_default=True,
    help="The folder; the files of one that was made before are replaced.",
)
@click.pass_obj
def package(
    caller: Caller,
    service: str,
    to: str,
    role: str,
    secret: str,
    connection: str,
    subnet: tuple[str, ...],
    security_group: tuple[str, ...],
    workers: int,
    glue_version: str,
    machine: str,
    output: Path,
) -> None:
    """Make what AWS Glue or EMR Serverless takes to run the migration as a job.

    The folder has the tool as a zip with the configuration in it, the script that starts it, the
    job's definition and its role's policy as JSON, and README.md with the commands in their order.
    Nothing is sent to AWS. No secret is packed: the configuration has to name them as ${VARIABLES}.
    """
    if service == "glue" and (subnet or security_group):
        raise click.UsageError(
            "--subnet and --security-group are for emr-serverless; a job of Glue's is in the "
            "network of its --connection"
        )
    if service != "glue" and connection:
        raise click.UsageError("--connection is for glue; name a --subnet and a --security-group")
    if bool(subnet) != bool(security_group):
        raise click.UsageError("--subnet and --security-group go with each other")

    def run() -> ExitCode:
        config = caller.settings()
        document = parse(caller.config_path)
        place = place_in_s3(to)
        role_of(role)
        if secret and not SECRET.fullmatch(secret):
            raise ConfigurationError(
                f"{secret} is not the ARN of a secret",
                remedy="give it whole: --secret "
                "arn:aws:secretsmanager:eu-west-1:111122223333:secret:s9-AbCdEf",
            )
        asked = Job(config, place, role, workers, secret, connection, subnet, security_group)
        require_fit(asked, document, caller.config_path)
        job = replace(asked, rights=tuple(caller.rights(config, asked.tables, asked.partition)))
        _require_folder(output)
        texts = _glue(job, glue_version, machine) if service == "glue" else _emr(job, output)
        _write(job, service, texts, document, output)
        click.echo(said("packaged", directory=output, guide=output / _GUIDE))
        return ExitCode.DONE

    at_the_edge(run)


def _require_folder(output: Path) -> None:
    """Raise ConfigurationError for a folder that is something else."""
    is_other = output.is_dir() and any(output.iterdir()) and not (output / SCRIPT).exists()
    if is_other or (output.exists() and not output.is_dir()):
        what = "is not empty, and no package" if is_other else "is no folder"
        raise ConfigurationError(f"{output} {what}", remedy="name another folder: --output")


def _glue(job: Job, version: str, machine: str) -> dict[str, bytes]:
    return {"glue-job.json": _json(glue.job_json(job, version, machine))}


def _emr(job: Job, output: Path) -> dict[str, bytes]:
    """The application that is known already is that of the package that was here before."""
    application = emr_serverless.APPLICATION
    with suppress(OSError, ValueError, KeyError, TypeError):
        application = str(orjson.loads((output / _EMR_RUN).read_bytes())["applicationId"])
    return {
        "emr-application.json": _json(emr_serverless.application_json(job)),
        _EMR_RUN: _json(emr_serverless.run_json(job, application)),
        "requirements.txt": "".join(f"{pin}\n" for pin in pins()).encode(),
    }


def _write(
    job: Job,
    service: str,
    texts: Mapping[str, bytes],
    document: Mapping[str, Any],
    output: Path,
) -> None:
    """Write the folder. Raises StorageError."""
    make_directory(output)
    write_code(output / entry.ARCHIVE, dict(_with_it(job.config, document)))
    for name, text in {
        **texts,
        SCRIPT: Path(entry.__file__).read_bytes(),
        _GUIDE: guide(job, service).encode(),
        "role-trust.json": _json(policy.trust_of(service)),
        "role-policy.json": _json(policy.policy_of(job, service)),
    }.items():
        write_atomically(output / name, text)


def _with_it(config: Config, document: Mapping[str, Any]) -> dict[str, bytes]:
    """What goes with the code: the configuration, as it stands but for comments, and the
    certificate of who has signed S9's. Raises ConfigurationError when that cannot be read."""
    authority = config.source.ssl_root_cert
    if not authority:
        return {_CONFIG: _json(document)}
    try:
        certificate = Path(authority).expanduser().read_bytes()
    except OSError as error:
        raise ConfigurationError(
            f"source.sslRootCert {authority} cannot be read: {error.strerror}",
            remedy="name the file with the certificate of the authority",
        ) from error
    moved = {**document, "source": {**document["source"], "sslRootCert": _AUTHORITY}}
    return {_CONFIG: _json(moved), _AUTHORITY: certificate}


def _json(document: Mapping[str, Any]) -> bytes:
    return orjson.dumps(document, option=orjson.OPT_INDENT_2) + b"\n"
