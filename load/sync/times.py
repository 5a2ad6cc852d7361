"""When a record was changed, where that is the migration's own time (`transformation.updatedAt`).

Every item of a migration bears one moment then, and browsers ask for what is younger than what they
have. So a sync gives a record that has changed the time of its own pass, and one that has not keeps
what it was written with. The transform knows nothing of this: it gives all of them the migration's
moment, as a verification by S9 does; here the times are put right before the gate.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import orjson

from load.sync.comparison import Changed, Same, compare
from load.sync.known_records import KnownFiles, KnownRecords, known_of
from utils.dynamodb.item_content import is_same
from utils.dynamodb.table_spec import TableSpec
from utils.error_handler import ArtifactError
from utils.files.artifacts import ArtifactWriter
from utils.files.workspace import Workspace
from utils.run.run import Run
from utils.run.same_tables import look
from utils.run.updated_at import stamp_now

_ANY = re.compile(rb'"updatedAt":\{"S":"[^"\\]*"\}')


def settle_times(run: Run, entity: str, known: KnownFiles) -> None:
    """Give the records of a transformed file their times; done again, it changes nothing. Raises
    ArtifactError when a file is not what it should be, and Interrupted."""
    _settle(run, entity, known, _Times.of(run))


def recall_times(run: Run, spec: TableSpec, known: Workspace) -> None:
    """Give the records that `run` has read again from S9 the times that the passes before have
    written, as far as the loads of the data directory `known` say it. Nothing but a time is taken
    from there: who compares it with the table sees whether that has it. Raises as
    `settle_times`."""
    if not run.manifest.updated_at_in_use:
        return
    reached = look(run.config.target, run.config.target.table(spec.entity))
    try:
        found = known_of(known, spec.entity, reached.as_json() if reached else {})
    except ArtifactError:
        return  # then the table tells (validate/verify/other_times.py)
    if found is not None:
        _settle(run, spec.entity, found, _Times(run.manifest.updated_at, run.manifest.updated_at))


def _settle(run: Run, entity: str, known: KnownFiles, times: _Times) -> None:
    path = run.workspace.transformed(entity)
    entry = run.artifact(path, written_by="transform")
    with (
        KnownRecords(known) as records,
        ArtifactWriter(path) as out,
        run.progress.task("transform", entity, entry.records, step="times") as task,
    ):
        for each in compare(path, records):
            run.stop.leave_if_asked()
            if isinstance(each, Same):
                out.write(b"".join(each.lines), records=each.records, items=len(each.lines))
                task.advance(each.records)
            elif isinstance(each, Changed):
                lines = times.settled(each)
                out.write(b"".join(lines), records=1, items=len(lines))
                task.advance(1)
        run.replace((path, out))


class _Times:
    """The moment of a migration, and that of the pass. Those of all passes before are kept nowhere,
    since there would be ever more: of a record that is known as it was written last, whatever time
    it has was given by one of them, and what the application has changed is not known so."""

    def __init__(self, first: str, now: str) -> None:
        self._first, self._now = _stamp(first), _stamp(now)
        self._own = re.compile(b"|".join(map(re.escape, {self._first, self._now})))

    @classmethod
    def of(cls, run: Run) -> _Times:
        """Those of a run; its own is set once, durably."""
        manifest = run.manifest
        if manifest.run_id not in manifest.moments:
            manifest.moments = {manifest.run_id: stamp_now()}
            run.save()
        return cls(manifest.updated_at, manifest.moments[manifest.run_id])

    def settled(self, record: Changed) -> Sequence[bytes]:
        """A record's lines with their times: as they were written, if nothing else differs."""
        known = record.known
        if known is not None and known.is_written and len(known.lines) == len(record.lines):
            kept = [self._kept(*both) for both in zip(record.lines, known.lines, strict=True)]
            if None not in kept:
                return [line for line in kept if line is not None]
        return [self._own.sub(self._now, line, count=1) for line in record.lines]

    def _kept(self, line: bytes, known: bytes) -> bytes | None:
        """A line with the time that it has in the `known` one, None when more than that differs."""
        own = self._own.search(line)
        if own is None:
            return line if line == known else None
        before, after = line[: own.start()], line[own.end() :]
        there = _ANY.match(known, own.start())
        if there and known[: own.start()] == before and known[there.end() :] == after:
            return known
        # A record that the table has told stands there in another order.
        item, other = (orjson.loads(each)["Item"] for each in (line, known))
        time = str(other.get("updatedAt", {}).get("S", ""))
        if time and is_same({**item, "updatedAt": {"S": time}}, other):
            return before + _stamp(time) + after
        return None


def _stamp(moment: str) -> bytes:
    return b'"updatedAt":{"S":"%b"}' % moment.encode()
