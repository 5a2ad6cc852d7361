"""The job as EMR Serverless takes it (EMR Serverless API, CreateApplication and StartJobRun), and
what is typed for it."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

from utils.job.plan import NAME, Job

APPLICATION = "APPLICATION"
RELEASE = "emr-7.9.0"  # Spark 3.5.5
_VENV = "s9-migration-venv.tar.gz"
_CORES, _MEMORY, _DISK = 4, 16, 20  # of each executor, and of the driver; GB
_HEAP, _BESIDE = "6g", "8g"  # Java's, and what Python has: the work is done there
_DRIVER_DISK = 200  # GB: all files of the run are there
_PYTHON = "./environment/bin/python"
# Where its machines unpack it: in the home of the user whom AWS's image has for Spark.
_UNPACKED = PurePosixPath("/") / "home" / "hadoop" / "environment"
_BUILT = "3.11.14"
_SOURCE = f"https://www.python.org/ftp/python/{_BUILT}/Python-{_BUILT}.tgz"
_LOG = "/aws/emr-serverless"


def application_json(job: Job) -> dict[str, Any]:
    """The input of `aws emr-serverless create-application`."""
    machines = job.workers + 1
    made: dict[str, Any] = {
        "name": NAME,
        "releaseLabel": RELEASE,
        "type": "SPARK",
        "architecture": "X86_64",
        "maximumCapacity": {
            "cpu": f"{machines * _CORES} vCPU",
            "memory": f"{machines * _MEMORY} GB",
            "disk": f"{_DRIVER_DISK + job.workers * _DISK} GB",
        },
    }
    if job.subnets:
        made["networkConfiguration"] = {
            "subnetIds": list(job.subnets),
            "securityGroupIds": list(job.security_groups),
        }
    return made


def run_json(job: Job, application: str = APPLICATION) -> dict[str, Any]:
    """The input of `aws emr-serverless start-job-run`; the id of the application is known when
    there is one."""
    venv = job.to.url(f"{job.to.prefix}/{_VENV}")
    conf = {
        "spark.archives": f"{venv}#environment",
        "spark.emr-serverless.driverEnv.PYSPARK_DRIVER_PYTHON": _PYTHON,
        "spark.emr-serverless.driverEnv.PYSPARK_PYTHON": _PYTHON,
        "spark.executorEnv.PYSPARK_PYTHON": _PYTHON,
        "spark.submit.pyFiles": job.archive,
        "spark.driver.cores": str(_CORES),
        "spark.driver.memory": _HEAP,
        "spark.driver.memoryOverhead": _BESIDE,
        "spark.emr-serverless.driver.disk": f"{_DRIVER_DISK}G",
        "spark.executor.cores": str(_CORES),
        "spark.executor.memory": _HEAP,
        "spark.executor.memoryOverhead": _BESIDE,
        "spark.dynamicAllocation.enabled": "false",  # a load's senders need all at once
        "spark.executor.instances": str(job.workers),
    }
    return {
        "name": NAME,
        "applicationId": application,
        "executionRoleArn": job.role,
        "executionTimeoutMinutes": 0,
        "jobDriver": {
            "sparkSubmit": {
                "entryPoint": job.script,
                "entryPointArguments": [part for pair in job.arguments.items() for part in pair],
                "sparkSubmitParameters": " ".join(
                    f"--conf {name}={value}" for name, value in conf.items()
                ),
            }
        },
        "configurationOverrides": {
            "monitoringConfiguration": {
                "cloudWatchLoggingConfiguration": {"enabled": True, "logGroupName": _LOG}
            }
        },
    }


def build_venv(job: Job) -> str:
    """How the environment is made that its machines unpack: on their system, Amazon Linux 2023.
    All of Python goes along, and nothing of it is shared with the system's, since the machines
    have another one (EMR Serverless user guide, "Using different Python versions")."""
    return "\n".join(
        (
            'docker run --rm --platform linux/amd64 -v "$PWD":/package -w /package \\',
            "  public.ecr.aws/amazonlinux/amazonlinux:2023 bash -ec '",
            "    dnf install -y -q gcc make tar gzip findutils bzip2-devel libffi-devel \\",
            "      openssl-devel sqlite-devel xz-devel zlib-devel",
            f"    curl -sSf {_SOURCE} | tar xz",
            f"    cd Python-{_BUILT} && ./configure -q && make -s -j4 altinstall && cd ..",
            f"    rm -r Python-{_BUILT}",
            "    python3.11 -m venv --copies /environment",
            "    cp -r /usr/local/lib/python3.11/* /environment/lib/python3.11/",
            "    /environment/bin/pip install -q --only-binary=:all: -r requirements.txt",
            "    /environment/bin/pip install -q venv-pack",
            "    /environment/bin/venv-pack -q -p /environment -f \\",
            f"      --python-prefix {_UNPACKED} -o {_VENV}'",
            f"aws s3 cp {_VENV} {job.to}/",
        )
    )


CREATE = (
    "aws emr-serverless create-application --cli-input-json file://emr-application.json\n"
    "# put the applicationId that it answers into emr-run.json"
)
START = "aws emr-serverless start-job-run --cli-input-json file://emr-run.json"
LOOK = (
    "aws emr-serverless get-job-run --application-id APPLICATION --job-run-id RUN \\\n"
    "  --query 'jobRun.[state,stateDetails,totalResourceUtilization]'\n"
    f"aws logs tail {_LOG} --follow"
)
REMOVE = "aws emr-serverless delete-application --application-id APPLICATION"
