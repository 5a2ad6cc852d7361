"""The job as AWS Glue takes it (Glue API, CreateJob), and what is typed for it."""

from __future__ import annotations

from typing import Any

from utils.job.plan import NAME, Job, pins

VERSIONS = {"5.1": "Spark 3.5, Python 3.11", "6.0": "Spark 4.1, Python 3.13"}
_DAYS = 7  # the longest that Glue lets a job run
# Kinds of machines, and how many cores they have; a larger one has a larger disk (AWS Glue
# developer guide, "Worker types").
MACHINES = {"G.1X": 4, "G.2X": 8, "G.4X": 16, "G.8X": 32}


def job_json(job: Job, version: str, machine: str) -> dict[str, Any]:
    """The input of `aws glue create-job`."""
    made: dict[str, Any] = {
        "Name": NAME,
        "Description": "S9 into the Sale Module's tables",
        "Role": job.role,
        "ExecutionProperty": {"MaxConcurrentRuns": 1},
        "Command": {"Name": "glueetl", "ScriptLocation": job.script, "PythonVersion": "3"},
        "DefaultArguments": {
            "--job-language": "python",
            "--extra-py-files": job.archive,
            "--additional-python-modules": ",".join(pins()),
            **job.arguments,
        },
        "MaxRetries": 0,
        "Timeout": _DAYS * 24 * 60,
        "GlueVersion": version,
        "WorkerType": machine,
        "NumberOfWorkers": job.workers,
    }
    if job.connection:
        made["Connections"] = {"Connections": [job.connection]}
    return made


def start(options: str) -> str:
    """The command that starts the job, with what stands behind `python migrate.py`."""
    return f'aws glue start-job-run --job-name {NAME} --arguments \'{{"--migrate": "{options}"}}\''


CREATE = "aws glue create-job --cli-input-json file://glue-job.json"
LOOK = (
    f"aws glue get-job-runs --job-name {NAME} --max-results 1 "
    "--query 'JobRuns[0].[JobRunState,ErrorMessage,ExecutionTime,DPUSeconds]'\n"
    "aws logs tail /aws-glue/jobs/error --follow"
)
REMOVE = f"aws glue delete-job --job-name {NAME}"
