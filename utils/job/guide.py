"""What an operator types, in its order, as a page beside the files of a job."""

from __future__ import annotations

from collections.abc import Iterator

from utils.job import emr_serverless, glue
from utils.job.plan import Job

OTHERS = {
    "a rehearsal that writes nothing": "--dry-run",
    "one phase": "--phase verify",
    "a run that has stopped, on new machines": "--resume",
    "what was loaded, compared with S9 as it is then": "--phase verify --from-source",
}


def guide(job: Job, service: str) -> str:
    """The page (Markdown)."""
    return "\n".join(_lines(job, service))


def _lines(job: Job, service: str) -> Iterator[str]:
    is_glue = service == "glue"
    where = "AWS Glue" if is_glue else "EMR Serverless"
    yield f"# The migration as a job of {where}"
    yield ""
    yield "Run these where the AWS CLI has the account's rights, from this folder. The zip holds"
    yield "the tool and config.json; after a change of either, make the package again, and copy it."
    yield from _step("The role", _role(job))
    if not is_glue:
        yield from _step("The packages, for the machines' system", [emr_serverless.build_venv(job)])
    yield from _step("The job's files", [f"aws s3 cp . {job.to}/ --recursive --exclude '*.md'"])
    if job.secret:
        yield ""
        yield f"The secret {job.secret} is a JSON object with a value for each ${{VARIABLE}} of"
        yield 'config.json: `{"S9_PASSWORD": "…"}`.'
    yield ""
    yield "The machines call the first one, and S9, over the network: its security group lets in"
    yield "what comes from itself (all TCP), and S9's lets that group in."
    yield from _step("The job", [glue.CREATE if is_glue else emr_serverless.CREATE])
    yield from _step("Start", [glue.start("--full") if is_glue else emr_serverless.START])
    yield ""
    if is_glue:
        yield "Other commands:"
        yield ""
        yield from (f"- {what}: `{glue.start(options)}`" for what, options in OTHERS.items())
    else:
        yield "Other commands: put them behind `--migrate` in emr-run.json."
        yield ""
        yield from (f"- {what}: `{options}`" for what, options in OTHERS.items())
    yield ""
    yield "What asks (`rollback`) is told beforehand: `rollback --yes`. From one's own machine,"
    yield f"`python migrate.py status` tells how far it is: the files are in {job.data}."
    yield from _step("Look", [glue.LOOK if is_glue else emr_serverless.LOOK])
    yield ""
    yield "It has succeeded if the command has ended with exit code 0. Another code fails it and is"
    yield "named in its log, with what to do; 5 is a migration that is done but for the records in"
    yield "quarantine."
    yield from _step(
        "Clean away",
        [
            glue.REMOVE if is_glue else emr_serverless.REMOVE,
            f"aws s3 rm {job.to}/ --recursive",
            f"aws iam delete-role-policy --role-name {job.role_name} --policy-name s9-migration",
            f"aws iam delete-role --role-name {job.role_name}",
        ],
    )
    yield ""


def _role(job: Job) -> list[str]:
    name = job.role_name
    return [
        f"aws iam create-role --role-name {name} "
        "--assume-role-policy-document file://role-trust.json",
        f"aws iam put-role-policy --role-name {name} --policy-name s9-migration "
        "--policy-document file://role-policy.json",
    ]


def _step(title: str, commands: list[str]) -> Iterator[str]:
    yield from ("", f"## {title}", "", "```bash", *commands, "```")
