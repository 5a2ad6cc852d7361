"""The log of MySQL and MariaDB: the binlog, read as a replica reads it."""

from __future__ import annotations

import threading
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from time import monotonic

from extract.change_log.change_log import (
    MOST_KEYS,
    CannotGoOn,
    ChangeLog,
    Changes,
    Followed,
    Retained,
    too_many,
)
from extract.change_log.mysql.control import Control, snapshot_place
from extract.change_log.mysql.positions import GtidRanges, GtidState, Place
from extract.change_log.mysql.requirements import all_requirements
from extract.change_log.mysql.stream import Stream
from extract.change_log.mysql.transactions import Transactions
from extract.change_log.requirement import require_met
from extract.source import Source
from utils.config import SourceConfig
from utils.error_handler import SourceError, SourceUnavailable
from utils.interrupt import StopFlag
from utils.logger import get_logger
from utils.wording.figures import counted

_LOOK_EVERY = 0.1
_NONE = GtidState()  # MySQL
_FIRST_ID = 1 << 24  # of a replica: far from those that people choose
_ANEW = "S9's binlog was begun anew (it has other transactions at that place)"
_SET_BACK = "S9 was set back: its binlog ends before what was followed already"
_ANOTHER = "another server answers than the one whose log was followed"


def open_binlog(
    config: SourceConfig,
    stop: StopFlag | None,
    followed: Sequence[Followed],
    name: str,
    known: Mapping[str, str],
) -> ChangeLog:
    """As `open_log` (extract/following/opening.py)."""
    return Binlog(config, stop or StopFlag(), followed, name, known)


class Binlog:
    """Reads the binlog. See ChangeLog.

    A position is a place in the log with the GTIDs up to there: another server, or the same with a
    log that was begun anew, has others at that place.
    """

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
        self._control = Control(config, stop)
        self._changed = threading.Condition()
        self._pending = Changes()
        self._committed: dict[str, str] = {}  # when GTIDs were first known to be, on MySQL
        self._stream: Stream | None = None
        self._log = 1  # see Place
        self._began_anew_at = ""  # by S9's clock, "" for the first log
        self._touched: Place | None = None  # the end of the last pending transaction
        self._touched_gtids = GtidRanges()
        self._given: dict[str, str] = {}  # of positions that were given out: the GTIDs up to there
        try:
            self._require()
            self._identity = dict(self._control.identity())
            self.begins_anew = next(self._doubts(known), "")
            begin = Place.parsed(known["position"]) if not self.begins_anew else None
            self._begin(begin, known.get("gtids", ""))
        except BaseException:
            self._control.close()
            raise
        self._confirmed = self._shown = self._reached
        self._state = dict(known) if begin else self._state_at(self._reached, self._gtids.text)

    def _require(self) -> None:
        """Raise SourceError naming everything that is missing, or who follows already."""
        found = all_requirements(self._config, self._control, self._followed)
        require_met(found, self._control.database)
        if not self._control.locks(self._name):
            [(holder,)] = self._control.rows("SELECT IS_USED_LOCK(%s)", self._name)
            raise SourceError(
                f"S9's log is followed already for this migration (by connection {holder})",
                remedy="stop the other one; one that was killed is forgotten with its connection",
            )

    def _doubts(self, known: Mapping[str, str]) -> Iterator[str]:
        """Why the log does not go on from where it was confirmed last, reason by reason."""
        if not known:
            yield "it is followed for the first time"
            return
        try:
            place = Place.parsed(known["position"])
        except (KeyError, ValueError):
            yield "what was kept of it cannot be read"
            return
        if reason := self._differs({**known}):
            yield reason
        yield from self._doubts_of(self._control, place, known.get("gtids", ""))

    @staticmethod
    def _doubts_of(control: Control, place: Place, gtids: str) -> Iterator[str]:
        """Why the log has not, at this place, what was read up to it."""
        files = {str(row[0]): int(row[1]) for row in control.if_allowed("SHOW BINARY LOGS")}
        if files and place.name not in files:
            yield f"S9 has purged its binlog {place.name}"
        elif files and files[place.name] < place.byte:
            yield _SET_BACK
        if gtids and control.is_mariadb:
            now = control.gtids(place)
            if not now:
                yield f"S9 has its binlog {place.name} no more: purged, or begun anew"
            elif now != GtidState(gtids).text:
                yield _ANEW
            return  # it may have been streamed before it is the end
        if control.end().is_before(place.in_log(1)):
            yield _SET_BACK
        if gtids:
            try:
                [(is_there,)] = control.rows(
                    "SELECT GTID_SUBSET(%s, @@GLOBAL.gtid_executed)", gtids
                )
            except SourceUnavailable:
                raise
            except SourceError:
                yield "what was kept of it cannot be read"
                return
            if not is_there:
                yield "S9 does not know the transactions that were followed already"

    def _differs(self, known: Mapping[str, str]) -> str:
        """Why this is not the server whose log was followed; "" when it is."""
        now = {f"server.{name}": value for name, value in self._control.identity().items()}
        before = {name: value for name, value in known.items() if name.startswith("server.")}
        if before and before != now:
            return _ANOTHER
        return ""

    def _begin(self, place: Place | None, gtids: str = "") -> None:
        place = place or self._end_that_is_seen()
        self._gtids = GtidState(gtids or self._control.gtids(place)) if self._is_mariadb else _NONE
        self._reached = self._ended = place.in_log(self._log)

    def _end_that_is_seen(self) -> Place:
        """The end of the log, when everybody sees what is before it. On MySQL a transaction may be
        in the log, wait for a replica, and be seen by nobody: it has its GTID until it is seen.
        MariaDB tells the place of a snapshot."""
        place = self._control.end()
        under_way = self._control.under_way()
        while under_way & self._control.under_way():
            self._stop.sleep(_LOOK_EVERY)
        return place

    @property
    def _is_mariadb(self) -> bool:
        return self._control.is_mariadb

    def _state_at(self, place: Place, gtids: str) -> dict[str, str]:
        return {
            **{f"server.{name}": value for name, value in self._identity.items()},
            "position": place.in_log(1).text,
            "gtids": gtids if self._is_mariadb else self._control.gtids(),
        }

    def __enter__(self) -> Binlog:
        self._start()
        return self

    def _start(self, *, is_again: bool = False) -> None:
        self._stream = Stream(
            self._config,
            _FIRST_ID + zlib.crc32(self._name.encode()) % _FIRST_ID,
            self._reached,
            lambda: Transactions(self._control.database, self._followed),
            self._take,
            self._why_not_the_same,
            is_again,
        )

    def _why_not_the_same(self) -> str:
        """Why the log does not go on after a lost connection; "" when it does. For the thread that
        reads: on a connection of its own."""
        with self._changed:
            place, gtids = self._reached, self._gtids.text
        control = Control(self._config, self._stop)
        try:
            if dict(control.identity()) != self._identity:
                return _ANOTHER
            gtids = gtids if control.is_mariadb else self._state["gtids"]
            return next(self._doubts_of(control, place, gtids), "")
        finally:
            control.close()

    def __exit__(self, *error: object) -> None:
        self._hang_up()
        self._control.close()

    def _hang_up(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()

    def _take(self, changes: Changes, place: Place, gtid: str) -> None:
        """What a transaction has changed that ends at a place; "" when it is none."""
        with self._changed:
            self._pending.add(changes)
            self._reached = place
            if gtid:
                self._ended = place
                # All that come: those of followed tables alone would be as many ranges.
                (self._gtids if self._is_mariadb else self._touched_gtids).add(gtid)
            if not changes.is_empty:
                self._touched = place
            keys = (*self._pending.keys.values(), *self._pending.parents.values())
            if sum(map(len, keys)) > MOST_KEYS:
                self._pending.keys.clear()
                self._pending.parents.clear()
                self._pending.whole.add(too_many(MOST_KEYS))
            self._changed.notify_all()

    def read(self, seconds: float) -> Changes:
        """Everything that has arrived and was not given out yet."""
        self._keep_on()
        deadline = monotonic() + seconds
        with self._changed:
            while (
                self._pending.is_empty
                and not self._stop.requested
                and (self._stream is None or self._stream.failure is None)
                and (left := deadline - monotonic()) > 0
            ):
                self._changed.wait(min(left, _LOOK_EVERY))
        self._keep_on()
        with self._changed:
            return self._given_out()

    def _given_out(self) -> Changes:
        """What is pending; a snapshot must see the last transaction of it."""
        changes, self._pending = self._pending, Changes()
        self._shown = self._reached
        changes.position = self._shown.text
        self._given[changes.position] = self._gtids.text
        if self._touched is not None:
            log = f"@{self._log}"
            gtids = (f"{each}{log}" for each in self._touched_gtids.texts)
            changes.seen = (self._touched.text, *gtids)
        self._touched, self._touched_gtids = None, GtidRanges()
        return changes

    def _keep_on(self) -> None:
        """See to it that the log is read: raise what has ended it, once, or begin anew."""
        stream = self._stream
        if stream is None:
            self._start(is_again=True)
        elif stream.failure is not None:
            self._hang_up()
            if not isinstance(stream.failure, CannotGoOn):
                raise stream.failure
            self._begin_anew(str(stream.failure))

    def _begin_anew(self, reason: str) -> None:
        """The log cannot be read any further: from its end on, and everything is to be compared."""
        get_logger().warning("The log of S9 begins anew: %s", reason)
        self._hang_up()
        self._require()
        self._identity = dict(self._control.identity())
        with self._changed:
            self._log += 1
            self._begin(None)
            self._pending.whole.add(reason)
            self._touched, self._touched_gtids = self._reached, GtidRanges()
        self._began_anew_at = self._control.now()
        self._start()

    def is_seen(self, changes: Changes, source: Source) -> bool:
        """Whether the snapshot of an open source sees all of these changes."""
        if changes.is_empty or not changes.seen or self._sees(changes, source):
            return True
        # In a log that was begun anew, no snapshot is ever at the places of the one before.
        end = self._control.end().in_log(self._log)
        if end.is_before(self._ended) and (reason := self._set_back()):
            self._begin_anew(reason)
        return False

    def _sees(self, changes: Changes, source: Source) -> bool:
        log = self._log
        if source.snapshot.taken_at <= self._began_anew_at:
            return False  # its place may be one of the log before
        # What was in a log before this one was there before this one began.
        seen = [each for each in changes.seen if int(each.partition("@")[2] or 1) == log]
        place = snapshot_place(source.tally)
        if place is not None:
            place = place.in_log(log)
            return not any(place.is_before(Place.parsed(each)) for each in seen if "." in each)
        gtids = ",".join(each.partition("@")[0] for each in seen if "." not in each)
        return self._is_committed_before(gtids, source.snapshot.taken_at)

    def _is_committed_before(self, gtids: str, taken_at: str) -> bool:
        """Whether all of it was committed before a moment of S9's clock: MySQL does not tell the
        place of a snapshot. What is in gtid_executed now may have come after the snapshot; so it is
        seen only by one that is taken after the look that found it there."""
        [(is_there,)] = self._control.rows("SELECT GTID_SUBSET(%s, @@GLOBAL.gtid_executed)", gtids)
        known = self._committed.get(gtids)
        if is_there and known is None:  # never by the one at hand, whatever the clock says
            self._committed[gtids] = self._control.now()
        return known is not None and known < taken_at

    def confirm(self, position: str) -> None:
        """All up to a position of `Changes` is done."""
        place = Place.parsed(position)
        if self._confirmed.is_before(place) and position in self._given:
            self._state = self._state_at(place, self._given[position])
            self._confirmed = place
            later = {name for name in self._given if place.is_before(Place.parsed(name))}
            self._given = {name: self._given[name] for name in later}
            self._committed.clear()

    def let_forget(self) -> None:
        """S9 forgets its log by itself."""

    def fence(self) -> str:
        """Set a mark at the end of the log as it is now."""
        place = self._control.end().in_log(self._log)
        if place.is_before(self._ended) and (reason := self._set_back()):
            self._begin_anew(reason)
            place = self._reached
        return place.text

    def _set_back(self) -> str:
        """Why the log ends before what was read already; "" when it only tells its end late: a
        replica has a transaction a moment before it is there."""
        with self._changed:
            place, gtids = self._ended, self._gtids.text
        return next(self._doubts_of(self._control, place, gtids), "")

    def has_passed(self, fence: str) -> bool:
        """Whether everything before this mark has been given out by `read`."""
        return not self._shown.is_before(Place.parsed(fence))

    def retained(self) -> Retained:
        """What S9 keeps for us at this moment: nothing more than it would without us."""
        names = ("binlog_expire_logs_seconds", "expire_logs_days")
        kept = self._control.variables(*names)
        seconds = int(float(kept.get(names[0], "0") or 0))
        seconds = seconds or int(float(kept.get(names[1], "0") or 0) * 86_400)
        files = self._control.if_allowed("SHOW BINARY LOGS")
        place = self._confirmed
        behind = 0
        for row in files:
            with suppress(ValueError):
                each = Place.of(str(row[0]), int(row[1]))
                if each.file > place.file:
                    behind += each.byte
                elif each.file == place.file:
                    behind += max(0, each.byte - place.byte)
        oldest = str(files[0][0]) if files else ""
        trouble = ""
        if oldest == place.name and len(files) > 2 and seconds:
            trouble = (
                f"the binlog that is followed ({place.name}) is the oldest that S9 has, and it "
                f"keeps them for {counted(round(seconds / 3600), 'hour')}: when it is purged, "
                "everything is compared"
            )
        return Retained(behind, None, trouble)

    def state(self) -> Mapping[str, str]:
        """That of the last `confirm`."""
        return self._state
