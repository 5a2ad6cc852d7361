"""A file under the data directory that is not what the tool wrote: refused, with the way back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from mypy_boto3_dynamodb import DynamoDBClient

from tests.scenarios.conftest import DONE_TABLES
from tests.support.operators.operator import Operator, scan_all

Harm = Callable[[Path], object]


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def edit(path: Path) -> None:
    content = path.read_bytes()
    place = content.index(b"a")
    path.write_bytes(content[:place] + b"e" + content[place + 1 :])


def append(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content + content[: content.index(b"\n") + 1])


def delete(path: Path) -> None:
    path.unlink()


def refused(operator: Operator, *arguments: str) -> str:
    """Run what must be refused, without a change to any file; returns the message."""
    files = operator.files()
    outcome = operator.run(*arguments)
    assert operator.files() == files
    return outcome.failed(1).stderr


@pytest.mark.parametrize("harm", [append, delete])
def test_transform_refuses_an_extracted_file_that_was_touched(
    after_a_run: Operator, harm: Harm
) -> None:
    harm(after_a_run.data / "extracted" / "sales.json")
    message = refused(after_a_run, "--phase", "transform", "--entity", "sales")
    assert "extracted/sales.json" in message
    assert "python migrate.py --phase extract --entity sales" in message


@pytest.mark.parametrize("harm", [cut, edit])
def test_load_refuses_a_transformed_file_that_was_touched_and_the_remedy_mends_it(
    after_a_run: Operator, finished: Operator, dynamodb: DynamoDBClient, harm: Harm
) -> None:
    items = scan_all(dynamodb, DONE_TABLES)
    harm(after_a_run.data / "transformed" / "buyers.json")
    message = refused(after_a_run, "--phase", "load")
    assert "transformed/buyers.json" in message
    assert "python migrate.py --phase transform --entity buyers" in message
    assert scan_all(dynamodb, DONE_TABLES) == items

    after_a_run.run("--phase", "transform", "--entity", "buyers").ended(5)
    message = refused(after_a_run, "--phase", "load")
    assert "transformed/buyers.json has not passed validation" in message
    assert "python migrate.py --phase validate" in message

    after_a_run.run("--phase", "validate").ended(5)
    assert after_a_run.files() == finished.files()


@pytest.mark.parametrize(
    ("phase", "name"),
    [
        ("validate", "transformed/producers.json"),
        ("verify", "transformed/producers.json"),
        ("verify", "quarantine/sales.json"),
    ],
)
def test_the_other_readers_of_a_file_refuse_it_too(
    after_a_run: Operator, phase: str, name: str
) -> None:
    edit(after_a_run.data / name)
    assert name in refused(after_a_run, "--phase", phase)


@pytest.mark.parametrize("phase", ["transform", "load"])
def test_a_phase_before_its_turn_names_the_one_that_is_missing(alone: Operator, phase: str) -> None:
    before = "extract" if phase == "transform" else "validate"
    alone.run("--phase", phase).failed(1, f"--phase {before}")


@pytest.mark.parametrize("text", ["", '{"version": 1}'])
def test_a_damaged_manifest_is_refused(after_a_run: Operator, text: str) -> None:
    files = after_a_run.files()
    (after_a_run.data / "manifest.json").write_text(text)
    after_a_run.run("--full").failed(1, "manifest.json")
    assert after_a_run.files() == files


def test_a_damaged_checkpoint_is_refused(after_a_run: Operator) -> None:
    manifest = after_a_run.data / "manifest.json"
    content = manifest.read_bytes()
    assert b'"outcome": 5' in content
    manifest.write_bytes(content.replace(b'"outcome": 5', b'"outcome": 130'))
    (after_a_run.data / ".checkpoint.json").write_text("{")
    after_a_run.run("--resume").failed(1, ".checkpoint.json", "--resume")
