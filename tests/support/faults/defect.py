"""migrate.py with a defect that quotes what it must not: run as `python defect.py PLACE --full …`.

PLACE is where an exception arises that nobody has foreseen: in the `transform`, in the `load`, or
in a `thread` of the extract, where nobody catches it.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, NoReturn

ROOT = Path(__file__).resolve().parents[3]


def fail(*quoted: object, **_: object) -> NoReturn:
    """What a defect says."""
    secret = os.environ["S9_PASSWORD"] + os.environ["AWS_SECRET_ACCESS_KEY"]
    try:
        raise KeyError(f"{os.environ['PLANTED']} {secret} {quoted}")
    except KeyError as error:
        raise ValueError(os.environ["PLANTED"], quoted) from error


def break_it(place: str) -> None:
    """Put the defect in its place."""
    from extract.postgresql import copy_stream
    from transform import engine
    from utils.dynamodb import client as dynamodb

    call = dynamodb.DynamoDB.call

    def write(self: Any, operation: str, body: bytes) -> bytes:
        return fail(body) if operation == "BatchWriteItem" else call(self, operation, body)

    def pump(self: Any, descriptor: int) -> None:
        os.close(descriptor)
        fail(descriptor)

    if place == "load":
        dynamodb.DynamoDB.call = write  # type: ignore[method-assign]
    elif place == "thread":
        copy_stream.RowStream._pump = pump  # type: ignore[method-assign]
    else:
        engine.transform = fail


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    break_it(sys.argv.pop(1))
    from migrate import cli

    cli(prog_name="python migrate.py")
