"""The log of MySQL and MariaDB: the binlog, read as a replica reads it."""

from __future__ import annotations

import threading
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from time import monotonic

from extract.change_log.change_log import ChangeLog, Changes, Followed, Retained
from extract.change_log.mysql.control import CHECK, UNPRIVILEGED, Control, snapshot_place
from extract.change_log.mysql.positions import Place, ranges
from extract.change_log.mysql.requirements import all_requirements
from extract.change_log.mysql.stream import CannotGoOn, Stream
from extract.change_log.mysql.transactions import MOST_KEYS, Transactions, too_many
from extract.source import Source
from utils.config import SourceConfig
from utils.error_handler import SourceError
from utils.interrupt import StopFlag
from utils.logger import get_logger
from utils.wording.figures import counted
from utils.wording.invocation import command

_LOOK_EVERY = 0.1
_FIRST_ID = 1 << 24  # of a replica: far from those that people choose
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
        try:
            self._require()
            self._identity = dict(self._control.identity())
            self.begins_anew = next(self._doubts(known), "")
            self._begin(Place.parsed(known["position"]) if not self.begins_anew else None)
        except BaseException:
            self._control.close()
            raise
        self._state = dict(known) if not self.begins_anew else self._state_at(self._reached)

    def _require(self) -> None:
        """Raise SourceError naming everything that is missing, or who follows already."""
        found = all_requirements(self._config, self._control, self._followed)
        missing = [each.told for each in found if not each.holds]
        if missing:
            raise SourceError(
                f"the log of S9 ({self._control.database}) cannot be followed: "
                f"{'; '.join(missing)}",
                remedy=f"{command(CHECK)} prints what a DBA runs for it; {command(UNPRIVILEGED)} "
                "works without",
            )
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
        yield from self._doubts_of(place, known.get("gtids", ""))

    def _doubts_of(self, place: Place, gtids: str) -> Iterator[str]:
        """Why the log has not, at this place, what was read up to it."""
        files = {str(row[0]): int(row[1]) for row in self._control.if_allowed("SHOW BINARY LOGS")}
        if files and place.name not in files:
            yield f"S9 has purged its binlog {place.name}"
        elif (files and files[place.name] < place.byte) or self._control.end().is_before(place):
            yield "S9 was set back: its binlog ends before what was followed already"
        if self._control.is_mariadb:
            now = self._control.gtids(place)
            if gtids and now != gtids:
                yield "S9's binlog was begun anew (it has other transactions at that place)"
        elif gtids:
            [(is_there,)] = self._control.rows(
                "SELECT GTID_SUBSET(%s, @@GLOBAL.gtid_executed)", gtids
            )
            if not is_there:
                yield "S9 does not know the transactions that were followed already"

    def _differs(self, known: Mapping[str, str]) -> str:
        """Why this is not the server whose log was followed; "" when it is."""
        now = {f"server.{name}": value for name, value in self._control.identity().items()}
        before = {name: value for name, value in known.items() if name.startswith("server.")}
        if before and before != now:
            return _ANOTHER
        return ""

    def _begin(self, place: Place | None) -> None:
        self._reached = self._shown = place or self._control.end()

    def _state_at(self, place: Place) -> dict[str, str]:
        return {
            **{f"server.{name}": value for name, value in self._identity.items()},
            "position": place.text,
            "gtids": self._control.gtids(place),
        }

    def __enter__(self) -> Binlog:
        self._start()
        return self

    def _start(self) -> None:
        self._stream = Stream(
            self._config,
            _FIRST_ID + zlib.crc32(self._name.encode()) % _FIRST_ID,
            self._reached,
            lambda: Transactions(self._control.database, self._followed),
            self._take,
            self._why_not_the_same,
        )

    def _why_not_the_same(self) -> str:
        """The same, for the thread that reads: on a connection of its own."""
        control = Control(self._config, self._stop)
        try:
            now = dict(control.identity())
        finally:
            control.close()
        return "" if now == self._identity else _ANOTHER

    def __exit__(self, *error: object) -> None:
        self._hang_up()
        self._control.close()

    def _hang_up(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()

    def _take(self, changes: Changes, place: Place) -> None:
        """What a transaction has changed that ends at a place."""
        with self._changed:
            self._pending.add(changes)
            self._reached = place
            keys = (*self._pending.keys.values(), *self._pending.parents.values())
            if sum(map(len, keys)) > MOST_KEYS:
                self._pending.keys.clear()
                self._pending.parents.clear()
                self._pending.whole.add(too_many())
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
            changes, self._pending = self._pending, Changes()
            self._shown = self._reached
        self._keep_on()
        changes.position = self._shown.text
        gtids = () if self._control.is_mariadb else ranges(changes.seen)
        changes.seen = (self._shown.text, *gtids)
        return changes

    def _keep_on(self) -> None:
        """See to it that the log is read: raise what has ended it, or begin anew."""
        stream = self._stream
        if stream is None or stream.failure is None:
            return
        self._hang_up()
        if not isinstance(stream.failure, CannotGoOn):
            raise stream.failure
        get_logger().warning("The log of S9 begins anew: %s", stream.failure)
        self._require()
        self._identity = dict(self._control.identity())
        self._begin(None)
        with self._changed:
            self._pending.whole.add(str(stream.failure))
        self._start()

    def is_seen(self, changes: Changes, source: Source) -> bool:
        """Whether the snapshot of an open source sees all of these changes."""
        if changes.is_empty or not changes.seen:
            return True
        place = snapshot_place(source.tally)
        if place is not None:
            return not any(place.is_before(Place.parsed(e)) for e in changes.seen if "." in e)
        return self._is_committed_before(changes, source.snapshot.taken_at)

    def _is_committed_before(self, changes: Changes, taken_at: str) -> bool:
        """Whether all of it was committed before a moment of S9's clock: MySQL does not tell the
        place of a snapshot. What is in gtid_executed now may have come after the snapshot; so it is
        seen only by one that is taken after this look."""
        gtids = ",".join(each for each in changes.seen if "." not in each)
        [(is_there, now)] = self._control.rows(
            "SELECT GTID_SUBSET(%s, @@GLOBAL.gtid_executed), "
            "DATE_FORMAT(UTC_TIMESTAMP(6), '%%Y-%%m-%%dT%%H:%%i:%%s.%%f')",
            gtids,
        )
        known = self._committed.get(gtids)
        if is_there and known is None:
            known = self._committed[gtids] = str(now)[:23] + "Z"
        return known is not None and known < taken_at

    def confirm(self, position: str) -> None:
        """All up to a position of `Changes` is done."""
        place = Place.parsed(position)
        if not place.is_before(Place.parsed(self._state["position"])):
            self._state = self._state_at(place)
            self._committed.clear()

    def fence(self) -> str:
        """Set a mark at the end of the log as it is now."""
        return self._control.end().text

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
        place = Place.parsed(self._state["position"])
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
