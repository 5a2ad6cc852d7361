"""What `check` says of rights: what IAM simulates, by the policies of docs/iam-policy.json.

STS and IAM are played here; what they are asked is answered from the policies that are attached.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.support.aws.proxy import Answer, FaultyProxy, Plan, Request, error, query_of
from tests.support.operators.newcomer import Newcomer
from tests.support.operators.operator import environment
from tests.support.places import ROOT
from utils.checking.check import TARGET, Check, State
from utils.embedded.aws import EmbeddedAws

POLICIES: dict[str, Any] = orjson.loads((ROOT / "docs" / "iam-policy.json").read_bytes())[
    "policies"
]
ROLE = "arn:aws:iam::111122223333:role/Migration-dev"
NEEDED = ("load", "backup", "verify", "createTables")


@dataclass
class Iam:
    """An account with a role that has statements attached."""

    statements: list[dict[str, Any]] = field(default_factory=list)
    arn: str = "arn:aws:sts::111122223333:assumed-role/Migration-dev/anna"

    def attach(self, *policies: str) -> None:
        for name in policies:
            self.statements += POLICIES[name]["Statement"]

    def allows(self, action: str, resource: str) -> bool:
        return any(
            action in each["Action"] and any(fnmatchcase(resource, r) for r in each["Resource"])
            for each in self.statements
        )

    def decide(self, request: Request) -> Answer | None:
        if request.operation == "DescribeTable":
            return error("ResourceNotFoundException", "no such table")
        asked = query_of(request.body)
        if request.operation == "GetCallerIdentity":
            account, arn = "111122223333", self.arn
            inside = f"<Account>{account}</Account><Arn>{arn}</Arn><UserId>X</UserId>"
            return xml(request.operation, inside)
        assert request.operation == "SimulatePrincipalPolicy"
        if not self.allows("iam:SimulatePrincipalPolicy", asked["PolicySourceArn"][0]):
            said = "<Error><Code>AccessDenied</Code><Message>not authorized</Message></Error>"
            return Answer(403, f"<ErrorResponse>{said}</ErrorResponse>".encode())
        results = "".join(
            f"<member><EvalActionName>{action}</EvalActionName>"
            f"<EvalResourceName>{resource}</EvalResourceName><EvalDecision>"
            f"{'allowed' if self.allows(action, resource) else 'implicitDeny'}"
            "</EvalDecision></member>"
            for action in members(asked, "ActionNames")
            for resource in members(asked, "ResourceArns")
        )
        done = "<IsTruncated>false</IsTruncated>"
        return xml(request.operation, f"{done}<EvaluationResults>{results}</EvaluationResults>")


def members(asked: dict[str, list[str]], name: str) -> list[str]:
    return [values[0] for key, values in asked.items() if key.startswith(f"{name}.member.")]


def xml(operation: str, inside: str) -> Answer:
    result = f"<{operation}Result>{inside}</{operation}Result>"
    return Answer(200, f"<{operation}Response>{result}</{operation}Response>".encode())


@pytest.fixture
def iam() -> Iam:
    return Iam()


@pytest.fixture
def desk(tmp_path: Path, aws: EmbeddedAws, iam: Iam) -> Iterator[Newcomer]:
    with FaultyProxy(aws, Plan(always=iam.decide)) as proxy:
        keys = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "x" * 40}
        yield Newcomer(
            tmp_path,
            {"target": {"endpoint": proxy.url, "createTables": True}},
            environment(tmp_path / "home", **keys),
            sides=(TARGET,),
        )


def rights(desk: Newcomer) -> Check:
    return next(each for each in desk.check() if each.name == "rights")


def test_the_policies_that_a_migration_needs_are_enough(desk: Newcomer, iam: Iam) -> None:
    iam.attach("simulateRights", *NEEDED)
    found = rights(desk)
    assert (found.state, "is allowed (simulated)" in found.found) == (State.OK, True), found


def test_what_is_denied_is_named_and_the_statement_that_is_told_is_enough(
    desk: Newcomer, iam: Iam
) -> None:
    iam.attach("simulateRights", "backup", "createTables")
    said = rights(desk)
    assert said.state is State.FAILED
    assert f"{ROLE} lacks rights: " in said.found
    assert "dynamodb:BatchWriteItem on table/SalesTable-dev" in said.found
    assert "dynamodb:Query on table/SalesTable-dev/index/*" in said.found
    statement = said.remedy[said.remedy.index("{") : said.remedy.rindex("}") + 1]
    iam.statements.append(orjson.loads(statement))
    assert rights(desk).state is State.OK


def test_who_may_not_simulate_is_not_told_that_anything_is_wrong(desk: Newcomer, iam: Iam) -> None:
    iam.attach(*NEEDED)
    found = rights(desk)
    assert found.state is State.SKIPPED
    assert "could not be simulated" in found.found
    assert "iam:SimulatePrincipalPolicy" in found.remedy


@pytest.mark.parametrize(
    ("arn", "state"),
    [
        ("arn:aws:iam::111122223333:root", State.WARNING),
        ("arn:aws:sts::111122223333:federated-user/anna", State.SKIPPED),
    ],
)
def test_of_whom_nothing_can_be_simulated_that_is_said(
    desk: Newcomer, iam: Iam, arn: str, state: State
) -> None:
    iam.arn = arn
    assert rights(desk).state is state
