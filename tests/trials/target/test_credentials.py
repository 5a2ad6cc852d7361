"""C5: credentials are resolved once a run, and a provider that fails is named."""

from __future__ import annotations

import shlex
import sys

import orjson
import pytest

from tests.conftest import S9Database, TableNames
from tests.support.aws.proxy import Answer, FaultyProxy, Plan, Request, error
from tests.support.faults.sabotage import SHARED, SabotagedOperator
from tests.support.operators.operator import IMPATIENT, Operator, small_trade
from utils.embedded.aws import EmbeddedAws

KEYS = {"Version": 1, "AccessKeyId": "FIRSTKEY", "SecretAccessKey": "planted-secret"}


@pytest.fixture
def tool(alone: Operator, s9: S9Database, aws: EmbeddedAws, tables: TableNames) -> Operator:
    """An operator whose credentials come of a program that notes each call, in AWS's words."""
    small_trade(s9)
    alone.configure(
        target={"useLocalStack": False, "createTables": True},
        migration={**IMPATIENT, "batchSize": 1, "workers": 2, "processes": 2},
    )
    output, calls = alone.directory / "output", alone.directory / "calls"
    output.write_bytes(orjson.dumps(KEYS))
    program = f"echo x >> {calls}; cat {output}"
    config = alone.directory / "aws-config"
    config.write_text(
        "[default]\ncredential_process = "
        f"{shlex.join([sys.executable, '-Sc', f'import os; os.system({program!r})'])}\n"
    )
    alone.environment["AWS_CONFIG_FILE"] = str(config)
    return SabotagedOperator.like(alone, set=SHARED)


def test_a_provider_is_asked_once_a_run_and_named_when_it_gives_no_more(
    tool: Operator, aws: EmbeddedAws
) -> None:
    calls = tool.directory / "calls"

    def expire(request: Request) -> Answer | None:
        if request.operation != "BatchWriteItem":
            return None
        (tool.directory / "output").write_text("the session is over")
        return error("ExpiredTokenException", "The security token included is expired")

    with FaultyProxy(aws, Plan(always=expire)) as proxy:
        tool.configure(target={"endpoint": proxy.url})
        stopped = tool.run("--full")
        stopped.failed(1, "cannot be renewed", "credential_process of the default profile", "JSON")
        log = (tool.data / "reports" / "migration.log").read_text()
        assert "Traceback" in log
        assert "planted-secret" not in log + stopped.output
        calls.unlink()
        (tool.directory / "output").write_bytes(orjson.dumps(KEYS))
        proxy.plan = Plan()
        tool.run("--resume").ended(0)
    assert calls.read_text() == "x\n"
    assert len(tool.items("sales")) == 5
