"""The log of PostgreSQL: a replication slot, read with pgoutput.

Beside the stream the catalogue is looked at whenever something is given out, since there is much
that the stream does not tell: that a table was dropped and made anew, rewritten, altered.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime

from extract.change_log.change_log import CannotGoOn, ChangeLog, Changes, Followed, Retained
from extract.change_log.postgresql.control import Control, patiently
from extract.change_log.postgresql.inbox import Inbox
from extract.change_log.postgresql.positions import Visible, position_of, position_text
from extract.change_log.postgresql.publication import Publication, find_publication, making
from extract.change_log.postgresql.requirements import all_requirements
from extract.change_log.postgresql.retained import RetainedLog
from extract.change_log.postgresql.slots import (
    find_slot,
    free_slot,
    make_slot,
    names_of,
    take_away,
    visible_now,
)
from extract.change_log.postgresql.stream import Replication, Server, Stream, begin
from extract.change_log.postgresql.tables import TableFacts, facts_of
from extract.change_log.postgresql.touched import Transactions
from extract.change_log.requirement import require_met
from extract.source import Source
from utils.config import SourceConfig
from utils.error_handler import SourceError
from utils.interrupt import StopFlag
from utils.logger import get_logger
from utils.wording.invocation import command

PREFIX = "s9-migrate"
_BEAT_AFTER = 1 << 20  # bytes of log without any message
_SNAPSHOT = "SELECT txid_current_snapshot()::text"


def open_slot_log(
    config: SourceConfig,
    stop: StopFlag | None,
    followed: Sequence[Followed],
    name: str,
    known: Mapping[str, str],
) -> ChangeLog:
    """As `open_log` (extract/following/opening.py)."""
    return SlotLog(config, stop or StopFlag(), followed, name, known)


@dataclass(frozen=True)
class _Given:
    """What was given out by one `read`, the number of it: when it is confirmed, S9 may forget all
    up to the position as soon as the state is kept."""

    times: int = 0
    position: int = 0
    state: Mapping[str, str] = field(default_factory=dict)


class SlotLog:
    """Reads a slot's log. See ChangeLog."""

    def __init__(
        self,
        config: SourceConfig,
        stop: StopFlag,
        followed: Sequence[Followed],
        name: str,
        known: Mapping[str, str],
    ) -> None:
        self._config = config
        self._stop = stop
        self._followed = tuple(dict.fromkeys(followed))
        self._name = name
        self._done = _Given(state=dict(known))  # was confirmed last
        self._control = Control(config, stop, self._is_lost_beside)
        self._retained = RetainedLog(self._control)
        self._inbox = Inbox()
        self._slots = 1  # that were read since it was opened
        self._times = 0
        self._given: dict[str, _Given] = {}
        self._stream: Stream | None = None
        self.begins_anew = ""
        try:
            self._open(known)
        except BaseException:
            self._control.close()
            raise

    def _open(self, known: Mapping[str, str]) -> None:
        self._require()
        self._tables, self._server = self._look(), self._identify()
        doubt = next(self._doubts_of_slot(known), "")
        self.begins_anew = doubt or self._doubt_of_tables(known)
        self._slot = known.get("slot", "")
        if doubt:
            self._make_anew()
        self._begin_at()

    def _identify(self) -> Server:
        with closing(Replication(self._config)) as replication:
            return replication.server

    def _require(self) -> None:
        """Raise SourceError naming everything that is missing."""
        found = all_requirements(self._config, self._control, self._followed, self._name)
        require_met(found, self._config.database)

    def _look(self) -> Mapping[str, TableFacts]:
        return facts_of(self._control, self._config.schema, self._followed)

    def _doubts_of_slot(self, known: Mapping[str, str]) -> Iterator[str]:
        """Why the slot that was confirmed last cannot be read any further, reason by reason."""
        if not known:
            yield "it is followed for the first time"
            return
        try:
            confirmed = position_of(known.get("position", "").partition("#")[0])
            json.loads(known.get("tables", ""))
        except ValueError:
            yield "what was kept of it cannot be read"
            return
        before = Server.of(known)
        if not self._server.is_of(before):
            yield self._server.differs_from(before)
        yield from self._doubts_of_parts(known.get("slot", ""), confirmed)
        if confirmed > self._server.end:
            yield "S9 was set back: its log ends before what was followed already"

    def _doubts_of_parts(self, name: str, confirmed: int) -> Iterator[str]:
        slot = free_slot(self._control, name)
        if slot is None:
            yield f"the slot {name} is not there any more"
        elif not slot.is_ours:
            yield f"the slot {name} is another one now"
        elif slot.is_lost:
            yield slot.trouble
        elif slot.confirmed > confirmed:
            yield (
                f"the slot {name} was read further than is known here (from another data "
                "directory, or before this one was restored)"
            )
        found = find_publication(self._control, self._name, self._config.schema, self._tables)
        if found is None:
            yield f"the publication {self._name} is not there any more"
        elif found.lacks:
            yield f"the publication {self._name} {found.lacks}"

    def _doubt_of_tables(self, known: Mapping[str, str]) -> str:
        """Why everything is to be compared although the slot goes on; "" for no reason."""
        if reason := self._server.differs_from(Server.of(known)):
            return reason
        return _changed(json.loads(known.get("tables", "{}")), self._fingerprints())

    def _fingerprints(self) -> Mapping[str, str]:
        return {name: facts.fingerprint for name, facts in self._tables.items()}

    def _make_anew(self) -> None:
        """The publication first: a slot knows only what there was when it was made."""
        schema, tables = self._config.schema, self._tables
        for name in names_of(self._name):
            take_away(self._control, name)
        found = find_publication(self._control, self._name, schema, tables)
        if found is None or found.lacks:
            self._control.write(*making(self._control, self._name, schema, [*tables], found))
        confirmed = self._done.state.get("slot")
        self._slot = next(name for name in names_of(self._name) if name != confirmed)
        make_slot(self._control, self._slot, self._config)

    def _begin_at(self) -> None:
        slot = find_slot(self._control, self._slot)
        self._inbox.starts_at(slot.confirmed if slot else 0)

    def __enter__(self) -> SlotLog:
        try:
            self._start_slot()
        except BaseException:
            self._control.close()
            raise
        return self

    def _start_slot(self) -> None:
        """Start a slot that was found to be fit. Raises SourceError when it is not."""
        try:
            self._start()
        except CannotGoOn as error:
            raise SourceError(
                f"the log of S9 ({self._config.database}) cannot be read: {error}",
                remedy=f"{command('sync --stop')} takes the slot away; then begin again",
            ) from error

    def _start(self) -> None:
        """Raises CannotGoOn."""
        replication = Replication(self._config)
        try:
            if reason := replication.server.differs_from(self._server):
                raise CannotGoOn(reason)
            self._prepare()
            begin(self._config, replication, self._slot, self._name)
        except BaseException:
            replication.close()
            raise
        self._stream = Stream(
            self._config,
            replication,
            self._slot,
            self._name,
            self._transactions,
            self._inbox,
            self._visible,
            prepare=self._prepare,
            look_beside=self._control.notice,
        )

    def _prepare(self) -> None:
        """The slot is free, and there is a message for whoever reads it (Stream.last_start)."""
        free_slot(self._control, self._slot)
        self._mark("")

    def _mark(self, text: str) -> str:
        """Set a mark at the end of the log; returns where."""
        # Its transaction ends behind it: whoever has read on to here has read what was before.
        [position] = self._control.one(
            "SELECT pg_logical_emit_message(true, %s, %s)::text", PREFIX, text
        )
        return str(position)

    def _transactions(self) -> Transactions:
        partitioned = {name for name, facts in self._tables.items() if facts.is_partitioned}
        return Transactions(self._config.schema, self._followed, partitioned)

    def _visible(self) -> Visible:
        return visible_now(self._control)

    def __exit__(self, *error: object) -> None:
        self._hang_up()
        self._control.close()

    def _is_lost_beside(self) -> None:
        """S9 that shuts down waits until whoever reads its log has confirmed it, or is gone."""
        if self._stream is not None:
            self._stream.renew()

    def _hang_up(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()

    def read(self, seconds: float) -> Changes:
        """Everything that has arrived and was not given out yet."""
        self._keep_on()
        self._inbox.wait(seconds, self._stop)
        self._keep_on()
        reached = self._inbox.reached
        self._notice()
        visible = self._visible()
        touched, position = self._inbox.take(reached)
        self._times += 1
        given = f"{position_text(position)}#{self._times}"
        self._given[given] = _Given(self._times, position, self._state_at(given))
        return Changes(
            keys=touched.keys,
            parents=touched.parents,
            whole=touched.whole,
            transactions=touched.transactions,
            oldest=_moment(touched.oldest),
            newest=_moment(touched.newest),
            position=given,
            seen=() if touched.is_empty else _to_be_seen(visible, touched.xids),
        )

    def _state_at(self, position: str) -> Mapping[str, str]:
        return {
            "slot": self._slot,
            "system": self._server.system,
            "timeline": self._server.timeline,
            "database": self._server.database,
            "tables": json.dumps(self._fingerprints()),
            "position": position,
        }

    def _keep_on(self) -> None:
        """See to it that the log is read: raise what has ended it, once; then begin again."""
        stream = self._stream
        try:
            if stream is None:
                patiently(self._config, self._stop, self._start)
            elif stream.failure is not None:
                self._hang_up()
                raise stream.failure
        except CannotGoOn as error:
            self._begin_anew(str(error))

    def _begin_anew(self, reason: str) -> None:
        """The log cannot be read any further: another slot, and everything is to be compared. That
        stands before anything else, since anything else may fail, and is done again then."""
        get_logger().warning("The log of S9 begins anew: %s", reason)
        self._hang_up()
        # The positions of another slot, or another server, say nothing of this one's.
        self._inbox, self._slots = Inbox(), self._slots + 1
        self._inbox.compare_all(reason)
        self._given.clear()
        self._done = _Given(state=self._done.state)
        self._retained = RetainedLog(self._control)
        self._require()
        self._tables, self._server = self._look(), self._identify()
        self._make_anew()
        self._begin_at()
        self._start_slot()

    def _notice(self) -> None:
        """Look for what the log does not tell."""
        tables = self._look()
        publication = find_publication(self._control, self._name, self._config.schema, tables)
        if any(facts.unreadable() or facts.without_identity() for facts in tables.values()):
            self._withdraw(publication)
        now = {name: facts.fingerprint for name, facts in tables.items()}
        reason = _changed(self._fingerprints(), now)
        if reason:
            self._inbox.compare_all(reason)
        self._tables = tables
        if publication is None or publication.lacks:
            lacks = "is not there any more" if publication is None else publication.lacks
            self._begin_anew(reason or f"the publication {self._name} {lacks}")

    def _withdraw(self, publication: Publication | None) -> None:
        """A table cannot be followed any more. Without a replica identity S9 itself could not
        change it for as long as it is published. Raises SourceError."""
        if publication is not None and publication.is_owned:
            self._control.write(f"DROP PUBLICATION {self._control.quote(self._name)}")
        self._require()

    def is_seen(self, changes: Changes, source: Source) -> bool:
        """Whether the snapshot of an open source sees all of these changes."""
        if source.tally("SELECT pg_is_in_recovery()")[0][0]:
            raise SourceError(
                "the records of S9 would be read from a replica, and its log from the primary",
                remedy="let source.host name the primary",
            )
        [[text]] = source.tally(_SNAPSHOT)
        visible = Visible.of(text)
        return all(
            visible.covers(Visible.of(each)) if ":" in each else visible.sees(int(each))
            for each in changes.seen
        )

    def confirm(self, position: str) -> None:
        """All up to a position of `Changes` is done."""
        given = self._given.get(position)
        if given is None:
            return
        self._given = {name: each for name, each in self._given.items() if each.times > given.times}
        self._done = given

    def let_forget(self) -> None:
        """What `state` says is kept."""
        self._inbox.let_forget(self._done.position)
        if self._stream is not None:
            self._stream.hurry()
            if self._done.position - self._stream.last_start > _BEAT_AFTER:
                self._mark("")  # only a message leads on

    def fence(self) -> str:
        """Set a mark at the end of the log as it is now."""
        nonce = secrets.token_hex(8)
        position = self._mark(nonce)
        self._inbox.await_position(position_of(position))
        return f"{nonce}@{position}@{self._slots}"

    def has_passed(self, fence: str) -> bool:
        """Whether everything before this mark has been given out by `read`."""
        _, position, slot = fence.split("@")
        if int(slot) < self._slots:
            return self._inbox.is_given_out
        return self._inbox.has_shown(position_of(position))

    def retained(self) -> Retained:
        """What S9 keeps for us at this moment."""
        return self._retained.look(self._slot)

    def state(self) -> Mapping[str, str]:
        """That of the last `confirm`."""
        return self._done.state


def _changed(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    """What of the tables themselves was changed, in words; "" for nothing."""
    new = [name for name in now if name not in before]
    changed = [name for name in now if before.get(name, now[name]) != now[name]]
    if changed:
        return f"{', '.join(changed)} was altered, rewritten or made anew"
    return f"{', '.join(new)} was not followed before" if new else ""


def _to_be_seen(visible: Visible, xids: Iterable[int]) -> tuple[str, ...]:
    """What a snapshot has to see: all that this one sees, and the few of these transactions that it
    does not see yet."""
    return (visible.text, *map(str, sorted(visible.unseen(xids))))


def _moment(at: datetime | None) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z") if at else ""
