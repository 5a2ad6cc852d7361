"""Starts a migration as a job: AWS Glue and EMR Serverless have this file run by Spark.

    --migrate OPTIONS   what else stands behind `python migrate.py`, in one argument: "--resume"
    --secret ARN        a secret of AWS Secrets Manager: a JSON object of variables and values, for
                        the ${VARIABLES} of config.json

What the service adds of its own is not looked at. The tool comes as a zip with the configuration in
it, and works in a directory of this machine. The job succeeds if the command ends with exit code 0.
"""

from __future__ import annotations

import json
import os
import runpy
import shlex
import sys
import tempfile
import zipfile
from collections.abc import Sequence

ARCHIVE = "s9-migration.zip"


def main(arguments: Sequence[str]) -> None:
    """Unpack the tool, put the secret's variables in the environment, and run the command. Raises
    SystemExit as the command does when it has not succeeded."""
    directory = tempfile.mkdtemp(prefix="s9-migration-")
    with zipfile.ZipFile(_archive()) as archive:
        archive.extractall(directory)
    os.chdir(directory)
    os.chmod("config.json", 0o600)  # noqa: PTH101 # as everything here
    secret = _given(arguments, "--secret", "")
    if secret:
        os.environ.update(_variables(secret))
    command = shlex.split(_given(arguments, "--migrate", "--full"))
    print(shlex.join(["python", "migrate.py", *command]), flush=True)  # noqa: T201 # the job's log
    sys.path.insert(0, directory)
    sys.argv = ["migrate.py", *command]
    try:
        runpy.run_path("migrate.py", run_name="__main__")
    except SystemExit as ended:
        if ended.code:  # a job that ends by itself has succeeded, whoever looks at how
            raise


def _archive() -> str:
    """Where Spark has put the zip: it is on the way of Python."""
    for place in sys.path:
        if os.path.basename(place) == ARCHIVE:  # noqa: PTH119 # a name is all it is
            return place
    raise SystemExit(f"{ARCHIVE} is not there: name it to Spark (--py-files, --extra-py-files)")


def _given(arguments: Sequence[str], name: str, otherwise: str) -> str:
    """What stands behind a name, whatever it begins with."""
    for place, each in enumerate(arguments[:-1]):
        if each == name:
            return arguments[place + 1]
    return otherwise


def _variables(secret: str) -> dict[str, str]:
    import boto3

    region = secret.split(":")[3]
    found = boto3.client("secretsmanager", region_name=region).get_secret_value(SecretId=secret)
    try:
        variables = json.loads(found["SecretString"])
        return {name: str(value) for name, value in variables.items()}
    except (KeyError, ValueError, AttributeError):  # whose text would have the secret in it
        pass
    raise SystemExit(
        f"the secret {secret} is no JSON object of variables and values: make it one, such as "
        '{"S9_PASSWORD": "..."}, and start the job again'
    )


if __name__ == "__main__":
    main(sys.argv[1:])
