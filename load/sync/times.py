"""When a record was changed, where that is the migration's own time (`transformation.updatedAt`).

Every item of a migration bears one moment then, and browsers ask for what is younger than what they
have. So a sync gives a record that has changed the time of its own pass, and one that has not keeps
what it was written with. The transform knows nothing of this: it gives all of them the migration's
moment, as a verification by S9 does; here the times are put right before the gate.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from load.sync.comparison import Changed, Same, compare
from load.sync.known_records import KnownFiles, KnownRecords
from utils.files.artifacts import ArtifactWriter
from utils.run.run import Run
from utils.run.updated_at import stamp_now


def settle_times(run: Run, entity: str, known: KnownFiles) -> None:
    """Give the records of a transformed file their times; done again, it changes nothing. Raises
    ArtifactError when a file is not what it should be, and Interrupted."""
    times = _Times.of(run)
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
    """The moments of a migration and of its syncs."""

    def __init__(self, first: str, passes: Sequence[str], now: str) -> None:
        every = b"|".join(re.escape(moment.encode()) for moment in (first, *passes))
        self._stamp = re.compile(rb'"updatedAt":\{"S":"(?:' + every + rb')"\}')
        self._first, self._now = _stamp(first), _stamp(now)

    @classmethod
    def of(cls, run: Run) -> _Times:
        """Those of a run; its own is set once, durably."""
        manifest = run.manifest
        if manifest.run_id not in manifest.moments:
            manifest.moments[manifest.run_id] = stamp_now()
            run.save()
        moments = manifest.moments
        return cls(manifest.updated_at, list(moments.values()), moments[manifest.run_id])

    def settled(self, record: Changed) -> Sequence[bytes]:
        """A record's lines with their times: as they were written, if nothing else differs."""
        plain = self._with(record.lines, self._first)
        known = record.known
        if known is not None and known.is_written and self._with(known.lines, self._first) == plain:
            return known.lines
        return self._with(record.lines, self._now)

    def _with(self, lines: Sequence[bytes], stamp: bytes) -> list[bytes]:
        return [self._stamp.sub(stamp, line, count=1) for line in lines]


def _stamp(moment: str) -> bytes:
    return b'"updatedAt":{"S":"%b"}' % moment.encode()
