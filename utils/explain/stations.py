"""What the phases tell of one record (`migrate.py explain`): values, each of one station."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from utils.files.quarantine import Refusal
from utils.findings.source_names import SourceNames
from utils.run.run import Run


@dataclass(frozen=True)
class RowNow:
    """The row that S9 has of a record at this moment: `line` as an extract would write it, b""
    where S9 has none. `reason` is why the extract would not select it, "" if it would.

    `read_at` is when the snapshot was taken (S9's clock), `table` what was looked at.
    """

    table: str
    read_at: str
    line: bytes = b""
    reason: str = ""
    names: SourceNames | None = None


@dataclass(frozen=True)
class WrittenBy:
    """A request that has written something of a record: `kind` is batch, conditional, transaction
    or repair, `at` when its answer came (UTC), `request_id` DynamoDB's id of it, "" where the
    answer had none."""

    kind: str
    at: str
    request_id: str


@dataclass(frozen=True)
class LoadedRecord:
    """What is kept of the load of a record.

    `run` has loaded it, from `began` to `ended` ("" while it is not known to have ended);
    `complete` says that nothing of the entity's load is left to do. `head` is the request that has
    written the item that opens the record, None where the log has none; `lines` are those that
    have written what belongs to it. `marks` are the marks of the record's lines
    (utils/files/line_marks.py), `may_be_sent` whether any of it may have been sent. `undone` is how
    far a rollback has come with the load: "", "begun" or "done".
    """

    run: str
    began: str
    ended: str
    complete: bool
    may_be_sent: bool
    undone: str = ""
    head: WrittenBy | None = None
    lines: Sequence[WrittenBy] = field(default=())
    marks: Sequence[int] = field(default=())


@dataclass(frozen=True)
class Phases:
    """What the phases are asked for; migrate.py puts it together, for no phase knows another. Each
    gets the run that is looked at (nobody's lock is taken, nothing is written) and the entity.

    `row_now` gets S9's key, `keys_of_number` a running number and its year: the keys of the rows
    that have it. `become` gives what an extracted line becomes, `partition_key` that of S9's key,
    `names` those that the columns have in S9 as the extract has recognised them, and `loaded` what
    is kept of the load of a record (None: of no load of the entity). They raise MigrationError.
    """

    row_now: Callable[[Run, str, int], RowNow]
    keys_of_number: Callable[[Run, str, int, int], list[int]]
    become: Callable[[Run, bytes, SourceNames], list[bytes] | Refusal]
    partition_key: Callable[[Run, str, int], str]
    names: Callable[[Run, str], SourceNames]
    loaded: Callable[[Run, str, int], LoadedRecord | None]
