"""What a job's role may do, as IAM policies."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

from utils.job.plan import Job
from utils.telemetry.cloudwatch.metrics import NAMESPACE

_VERSION = "2012-10-17"
# What the files of data.directory need: docs/iam-policy.json, dataInS3.
_IN_BUCKET = ("s3:ListBucket", "s3:ListBucketVersions")
_OF_OBJECTS = (
    "s3:GetObject",
    "s3:PutObject",
    "s3:DeleteObject",
    "s3:DeleteObjectVersion",
    "s3:AbortMultipartUpload",
)
# A job of Glue's in a network of one's own makes its interfaces there itself, and marks them (AWS
# Glue developer guide, "IAM policy for AWS Glue"). Those of EMR Serverless the service makes.
_LOOK_AT_NETWORK = (
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeVpcEndpoints",
    "ec2:DescribeRouteTables",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSubnets",
    "ec2:DescribeVpcAttribute",
)
_MARK = {"ForAllValues:StringEquals": {"aws:TagKeys": ["aws-glue-service-resource"]}}
_USE_KEY = ("kms:Decrypt", "kms:GenerateDataKey")
_LOGS = ("logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents")
_LOG_GROUPS = {"glue": "/aws-glue/*", "emr-serverless": "/aws/emr-serverless*"}


def trust_of(service: str) -> dict[str, Any]:
    """Who may take the role on: the service that runs the job."""
    return {
        "Version": _VERSION,
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": f"{service}.amazonaws.com"},
                "Action": "sts:AssumeRole",
            }
        ],
    }


def policy_of(job: Job, service: str) -> dict[str, Any]:
    """What the role may do with the tables, the files, the secret, and for its own log."""
    data = job.data
    arn = f"arn:{job.partition}"
    statements = [
        *_target(job.rights),
        _allow("FindTheFiles", _IN_BUCKET, [f"{arn}:s3:::{data.bucket}"]),
        _allow("KeepTheFiles", _OF_OBJECTS, [f"{arn}:s3:::{data.bucket}/{data.prefix}/*"]),
        _allow("FetchTheTool", ["s3:GetObject"], [f"{arn}:s3:::{job.to.bucket}/{job.to.prefix}/*"]),
        _allow(
            "WriteItsLog",
            _LOGS,
            [f"{arn}:logs:{job.region}:{job.account}:log-group:{_LOG_GROUPS[service]}"],
        ),
    ]
    statements += _telemetry(job, arn)
    if job.secret:
        statements.append(_allow("ReadTheSecret", ["secretsmanager:GetSecretValue"], [job.secret]))
    if job.connection:
        place = f"{arn}:glue:{job.region}:{job.account}"
        of = [f"{place}:catalog", f"{place}:connection/{job.connection}"]
        statements.append(_allow("FindTheNetwork", ["glue:GetConnection"], of))
        statements += _network(f"{arn}:ec2:{job.region}:{job.account}")
    if keys := sorted({key for key in (job.config.data.s3.kms_key, _of_import(job)) if key}):
        statements += [_key(job, number, key) for number, key in enumerate(keys, 1)]
    return {"Version": _VERSION, "Statement": statements}


def _telemetry(job: Job, arn: str) -> Iterator[dict[str, Any]]:
    """What the configuration sends to CloudWatch: docs/iam-policy.json, cloudWatch."""
    asked = job.config.logging
    if asked.cloud_watch:
        group = f"{arn}:logs:{job.region}:{job.account}:log-group:{asked.cloud_watch_group}:*"
        yield _allow("SendTheLog", _LOGS, [group])
    if asked.cloud_watch_metrics:
        only = {"StringEquals": {"cloudwatch:namespace": NAMESPACE}}
        yield _allow("SendMetrics", ["cloudwatch:PutMetricData"], ["*"]) | {"Condition": only}


def _network(ec2: str) -> list[dict[str, Any]]:
    """What Glue does in the network: the interfaces of the job's machines come and go."""
    interfaces = f"{ec2}:network-interface/*"
    among = [interfaces, f"{ec2}:subnet/*", f"{ec2}:security-group/*"]
    return [
        _allow("LookAtTheNetwork", _LOOK_AT_NETWORK, ["*"]),
        _allow("BeInTheNetwork", ["ec2:CreateNetworkInterface"], among),
        _allow("LeaveTheNetwork", ["ec2:DeleteNetworkInterface"], [interfaces]),
        _allow("MarkItsInterfaces", ["ec2:CreateTags"], [interfaces]) | {"Condition": _MARK},
    ]


def _of_import(job: Job) -> str | None:
    """The key of what an import goes through."""
    return job.config.load.s3.kms_key if job.config.load.imports else None


def _key(job: Job, number: int, key: str) -> dict[str, Any]:
    """The use of a key, which has an id or an ARN; one by an alias is told by that."""
    place, name = f"arn:{job.partition}:kms:{job.region}:{job.account}", key
    if key.startswith("arn:"):
        place, _, name = key.rpartition(":")
    if name.startswith("alias/"):
        by = {"ForAnyValue:StringEquals": {"kms:ResourceAliases": [name]}}
        return _allow(f"UseKey{number}", _USE_KEY, [f"{place}:key/*"]) | {"Condition": by}
    own = name if name.startswith("key/") else f"key/{name}"
    return _allow(f"UseKey{number}", _USE_KEY, [f"{place}:{own}"])


def _target(rights: Iterable[tuple[str, str]]) -> list[dict[str, Any]]:
    """Statements of what is needed of tables and indexes, those together that need the same."""
    actions: dict[str, set[str]] = defaultdict(set)
    for action, resource in rights:
        actions[resource].add(action)
    alike: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for resource, needed in actions.items():
        alike[tuple(sorted(needed))].append(resource)
    return [
        _allow(f"Tables{number}", needed, sorted(resources))
        for number, (needed, resources) in enumerate(sorted(alike.items()), 1)
    ]


def _allow(name: str, actions: Iterable[str], resources: list[str]) -> dict[str, Any]:
    return {
        "Sid": name,
        "Effect": "Allow",
        "Action": sorted(actions),
        "Resource": resources,
    }
