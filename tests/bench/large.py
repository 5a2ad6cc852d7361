"""`python -m tests.bench.large`: what verification takes at sizes that would take long to load.

A small migration is made as the bench makes it. Its transformed files are then multiplied: every
record again and again under other ids, sales with the parties of their own copy, so that millions
of items are there in minutes, and all of them right. The sink reads them from the files.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from tests.bench.measure import Figures, Job, run_job
from tests.bench.scene import Scene, configured, quiet_run, scene
from tests.bench.source import Size
from utils.artifacts import ArtifactEntry, ArtifactWriter
from utils.config import ENTITY_NAMES
from utils.run import Run

_SALES = 500  # of the migration that is multiplied
_SMALL = ("extract", "transform", "validate", "load")
# Where an id stands, and the part of it that is changed.
_ID = re.compile(
    rb'((?:SALE|LINE|BUYER|PRODUCER)#|(?:sale|line|buyer|producer)Id":\{"S":")(\w{8})-'
)


def main() -> None:
    """Measure each size and tell."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.large", description=__doc__)
    parser.add_argument("items", type=int, nargs="+", help="how many items there are to be")
    sizes = parser.parse_args().items
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as directory,
        scene(Path(directory), Size(_SALES), Size(1)) as stage,
    ):
        configuration = stage.configuration("large")
        for phase in _SMALL:
            run_job(phase, Job(configuration))
        for figures in measured(stage, configuration, sizes):
            _say(
                f"{figures.items:,} items: {figures.rate:,.0f} items/s, "
                f"{1e6 * figures.cpu / figures.items:.1f} µs of CPU time an item, "
                f"at most {figures.peak_mb:.0f} MB a process"
            )


def measured(stage: Scene, configuration: str, sizes: list[int]) -> Iterator[Figures]:
    """A verification of each size; the migration at `configuration` has been loaded."""
    with quiet_run(configured(configuration)) as run:
        own = {
            name: run.workspace.transformed(name).read_bytes().splitlines(keepends=True)
            for name in ENTITY_NAMES
        }
    items = sum(map(len, own.values()))
    for size in sizes:
        with quiet_run(configured(configuration)) as run:
            for name, lines in own.items():
                _multiply(run, name, lines, max(1, size // items))
                path = run.workspace.transformed(name)
                stage.sink.fill(run.config.target.table(name), path)
        stage.sink.prepare()
        yield run_job("verify", Job(configuration))


def _multiply(run: Run, entity: str, lines: list[bytes], copies: int) -> None:
    """Write an entity's transformed file as so many copies, and what the other phases would have
    left of it in the manifest."""
    records = sum(b'"SK":{"S":"METADATA"}' in line for line in lines)
    whole = b"".join(lines)
    path = run.workspace.transformed(entity)
    with ArtifactWriter(path) as writer:
        for copy in range(copies):
            text = _ID.sub(partial(_changed, copy=copy), whole)
            writer.write(text, records=records, items=len(lines))
        entry = writer.commit()
    run.publish(path, entry)
    run.publish(run.workspace.extracted(entity), entry)
    _record(run, entity, entry)


def _record(run: Run, entity: str, entry: ArtifactEntry) -> None:
    count = {"records": entry.records, "items": entry.items}
    path = run.workspace.transformed(entity)
    run.finish("extract", entity, inputs={}, settings="", result={"source": count})
    loaded = {**count, "refused": 0, "refusedRecords": 0}
    run.finish("load", entity, inputs=run.sha_of(path), settings="", result=loaded)


def _changed(found: re.Match[bytes], copy: int) -> bytes:
    return b"%b%08x-" % (found[1], int(found[2], 16) ^ copy)


def _say(text: str) -> None:
    print(text, file=sys.stdout, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
