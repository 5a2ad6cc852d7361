"""Operators whose Spark is sabotaged: its workers, its process, or the command itself."""

from __future__ import annotations

import os
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson

from tests.support.faults.sabotage import SabotagedOperator, assert_nothing_is_left_over
from tests.support.fleet.daemon import PLAN
from tests.support.operators.operator import Operator
from utils.files.parts import parts_of

_GONE_WITHIN = 20.0
_ROWS = 60_000  # bytes of a piece: each of them is a job's, and costs something
_SMALL_PIECES = {
    "validate.verify.passes._FILE_BYTES": _ROWS,
    "utils.dynamodb.scan_segments.SEGMENT_ITEMS": 100,
    "utils.files.spill._TOGETHER_BYTES": 10_000,
}


def sabotaged(operator: Operator, *kills: dict[str, Any], **plan: Any) -> SabotagedOperator:
    """The same operator, whose Spark's workers do as `kills` and `plan` say (daemon.py)."""
    tool = SabotagedOperator.like(operator.configure(checkpoint={"interval": 1}), rows=_ROWS)
    notes, conf = tool.directory / "tasks", tool.directory / "conf"
    for directory in (notes, conf):
        directory.mkdir(exist_ok=True)
    (conf / "spark-defaults.conf").write_text(
        "spark.python.daemon.module tests.support.fleet.daemon\n", encoding="utf-8"
    )
    tool.environment["SPARK_CONF_DIR"] = str(conf)
    settings = tool.plan["set"]
    told = {"tasks": str(notes), "kills": list(kills), "set": settings, **plan}
    tool.environment[PLAN] = orjson.dumps(told).decode()
    return tool


def verified_by_all(tool: SabotagedOperator) -> SabotagedOperator:
    """The same, of whom a verification of this size is worth a fleet's while in every step."""
    tool.plan = {**tool.plan, "set": {**tool.plan["set"], **_SMALL_PIECES}}
    return tool


def set_conf(operator: Operator, **settings: Any) -> None:
    """Settings of Spark's own file; a name without dots has underscores for them."""
    path = Path(operator.environment["SPARK_CONF_DIR"]) / "spark-defaults.conf"
    with path.open("a", encoding="utf-8") as conf:
        for name, value in settings.items():
            named = name if "." in name else name.replace("_", ".")
            conf.write(f"{named} {value}\n")


def kills(operator: Operator) -> set[str]:
    """The numbers of the kills that have come about, each with which time it was."""
    return {path.name for path in (operator.directory / "tasks").glob("killed-*")}


def begun(operator: Operator) -> Counter[str]:
    """How often each part was begun since this was asked last: "read_part 3"."""
    told = operator.directory / "tasks" / "told"
    lines = told.read_text(encoding="utf-8").splitlines() if told.exists() else []
    told.unlink(missing_ok=True)
    return Counter(lines)


def processes(operator: Operator) -> dict[int, str]:
    """The processes that an operator's commands have started, and that are there: Spark's own and
    its workers, by the home that their environment names."""
    home = f"HOME={operator.environment['HOME']}".encode()
    found = {}
    for directory in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if home in (directory / "environ").read_bytes().split(b"\0"):
                found[int(directory.name)] = (directory / "cmdline").read_text(encoding="utf-8")
    return {
        pid: line.replace("\0", " ") for pid, line in found.items() if line and pid != os.getpid()
    }


def assert_all_are_gone(operator: Operator) -> None:
    """No process outlives the command, be it killed."""
    until = time.monotonic() + _GONE_WITHIN
    while (left := processes(operator)) and time.monotonic() < until:
        time.sleep(0.1)
    assert not left, left


def assert_nothing_is_left(operator: Operator) -> None:
    """No file of a part that is not an artifact's, no half file, no process."""
    assert_nothing_is_left_over(operator)
    listed = set[Path]()
    for path in operator.data.rglob("*"):
        if path.is_file() and (parts := parts_of(path)):
            assert parts.parts
            listed.update(parts.files)
    left = listed.symmetric_difference(operator.data.rglob("part-*"))
    assert not left, sorted(left)
    for name in ("extracted", "transformed", "quarantine"):
        for path in (operator.data / name).iterdir():
            assert path.is_file() or listed.intersection(path.iterdir())
    assert_all_are_gone(operator)
