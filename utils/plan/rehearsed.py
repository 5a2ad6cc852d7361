"""What came of loading the records into throw-away tables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from utils.entities import ENTITY_NAMES
from utils.error_handler import ExitCode
from utils.plan.verdict import Obstacle, Stage
from utils.run.run import Run
from utils.wording.invocation import again

_TOLD = 100


def rehearsal_section(run: Run, code: ExitCode) -> dict[str, Any]:
    """The section of the plan: what is in the throw-away tables, and whether verify has found a
    difference there."""
    loaded = {name: _result(run, "load", name) for name in ENTITY_NAMES}
    return {
        "where": run.config.target.endpoint_url,
        "exitCode": int(code),
        "passed": code is not ExitCode.VERIFICATION_FAILED,
        "items": {name: result.get("items") for name, result in loaded.items()},
        "writeUnits": {name: result.get("consumedWriteUnits") for name, result in loaded.items()},
        "seconds": round(sum(each.get("seconds", 0.0) for each in loaded.values()), 3),
        "problems": _problems(run)[:_TOLD],
    }


def obstacles_of_rehearsal(run: Run, code: ExitCode) -> Iterator[Obstacle]:
    """What a rehearsal has shown to be in the way of a migration."""
    refused = sum(_result(run, "load", name).get("refusedRecords", 0) for name in ENTITY_NAMES)
    if code is ExitCode.VERIFICATION_FAILED:
        for problem in _problems(run)[:_TOLD]:
            yield Obstacle(
                Stage.VERIFY,
                f"in the rehearsal: {problem}",
                f"mend what it names, then look again: {again()}",
                code,
            )
    if refused:
        yield Obstacle(
            Stage.HELD_BACK,
            f"in the rehearsal DynamoDB has refused records: {refused:,}",
            f"their reasons are in {run.workspace.root / 'quarantine'}; mend them in S9, then look "
            f"again: {again()}",
            ExitCode.QUARANTINED,
            count=refused,
        )


def _result(run: Run, phase: str, entity: str) -> dict[str, Any]:
    entry = run.manifest.phase(phase, entity)
    return dict(entry.result) if entry else {}


def _problems(run: Run) -> list[str]:
    path = run.workspace.report("verification")
    return list(orjson.loads(path.read_bytes())["problems"]) if path.exists() else []
