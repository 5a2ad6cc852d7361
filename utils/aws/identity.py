"""Whose the credentials of a target are, and what they may do: what STS and IAM say of them.

Neither is needed for a migration, so whoever is not answered is told why, and goes on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from botocore.config import Config as BotoConfig
from botocore.exceptions import ClientError

from utils.aws.errors import CREDENTIAL_CODES, EXPIRED_CODES, in_short, refused, shortened
from utils.aws.session import session_of
from utils.config import TargetConfig

_AWS = re.compile(r"\.(amazonaws\.com(\.cn)?|api\.aws)$")
_ASSUMED = re.compile(
    r"arn:(?P<partition>[\w-]+):sts::(?P<account>\d+):assumed-role/(?P<role>[^/]+)/"
)
_NAMED = re.compile(r"arn:[\w-]+:iam::\d+:(user|role)/")
_SECONDS = 5
_ALLOWED = "allowed"


class NotTold(Exception):
    """A service has not said what it was asked; the text is why."""


@dataclass(frozen=True)
class Caller:
    """Whose credentials they are: the account's number, and the ARN of the user or role."""

    account: str
    arn: str

    @property
    def partition(self) -> str:
        """aws, aws-cn, aws-us-gov."""
        return self.arn.split(":")[1] if self.arn.count(":") > 1 else "aws"

    @property
    def is_root(self) -> bool:
        """Whether it is the account itself, which may do everything."""
        return self.arn.endswith(":root")

    @property
    def principal(self) -> str:
        """The ARN under which IAM knows who has the rights; "" when there is none. Of a role the
        session's ARN lacks the path: where it has one, IAM will not find it."""
        if found := _ASSUMED.match(self.arn):
            return "arn:{partition}:iam::{account}:role/{role}".format(**found.groupdict())
        return self.arn if _NAMED.match(self.arn) else ""


@dataclass(frozen=True)
class Denied:
    """An action that is not allowed on a resource; `explicitly`: a policy forbids it, so that
    another that allows it would not help."""

    action: str
    resource: str
    explicitly: bool


def caller_of(target: TargetConfig) -> Caller:
    """Whom STS takes the credentials for. Raises TargetError when it does not accept them, NotTold
    when it does not say."""
    try:
        answer = _client(target, "sts").get_caller_identity()
        return Caller(str(answer["Account"]), str(answer["Arn"]))
    except ClientError as error:
        problem = error.response.get("Error", {})
        code, message = problem.get("Code", ""), problem.get("Message", "")
        own_server = _own_server(target)
        if not own_server and (code in CREDENTIAL_CODES or code in EXPIRED_CODES):
            raise refused(code, message, target, where="AWS (STS)") from error
        raise NotTold(f"STS refuses to say it: {code}: {shortened(message)}") from error
    except (LookupError, TypeError) as error:
        raise NotTold("what answers is not STS") from error
    except Exception as error:  # what answers there need not be STS
        raise NotTold(f"STS does not answer: {in_short(error)}") from error


def denied(
    target: TargetConfig, caller: Caller, actions: Sequence[str], resources: Sequence[str]
) -> Iterator[Denied]:
    """Which of the actions on which of the resources IAM would not allow. Raises NotTold."""
    try:
        pages = (
            _client(target, "iam")
            .get_paginator("simulate_principal_policy")
            .paginate(
                PolicySourceArn=caller.principal,
                ActionNames=list(actions),
                ResourceArns=list(resources),
            )
        )
        for page in pages:
            for result in page["EvaluationResults"]:
                for resource, decision in _decisions(result):
                    if decision != _ALLOWED:
                        explicitly = decision == "explicitDeny"
                        yield Denied(str(result["EvalActionName"]), resource, explicitly)
    except ClientError as error:
        problem = error.response.get("Error", {})
        raise NotTold(
            f"IAM does not simulate it: {problem.get('Code', '')}: "
            f"{shortened(problem.get('Message', ''))}"
        ) from error
    except (LookupError, TypeError) as error:
        raise NotTold("what answers is not IAM") from error
    except Exception as error:
        raise NotTold(f"IAM does not answer: {in_short(error)}") from error


def _decisions(result: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What is decided of each resource; of several ones the answer may list them inside."""
    inside = result.get("ResourceSpecificResults") or ()
    for each in inside:
        yield str(each["EvalResourceName"]), str(each["EvalResourceDecision"])
    if not inside:
        yield str(result.get("EvalResourceName", "*")), str(result["EvalDecision"])


def _own_server(target: TargetConfig) -> str | None:
    """The URL of the server that the tables are on, where it is not AWS's."""
    url = target.endpoint_url
    return None if url and _AWS.search(urlsplit(url).hostname or "") else url


def _client(target: TargetConfig, service: str) -> Any:
    """botocore's client of a service, as patient as a look is; where the tables are on a server of
    one's own, that one is asked."""
    return session_of(target).create_client(
        service,
        region_name=target.region,
        endpoint_url=_own_server(target),
        config=BotoConfig(
            connect_timeout=_SECONDS,
            read_timeout=_SECONDS,
            retries={"mode": "standard", "total_max_attempts": 1},
        ),
    )
