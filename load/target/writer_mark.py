"""A mark on the target for the time in which somebody writes to it: one load at a time.

A data directory's lock keeps others out of the directory, not out of the tables. So whoever loads,
rolls back or restores puts an item into each table first, on condition that there is none of
somebody else. It stands where no route of the Sale Module's API looks: under a partition key of its
own, with a sort key that is not METADATA, without updatedAt and without keys of an index. Backup,
survey, restore and verification leave it out (`utils.dynamodb.table_spec.is_mark`).

Whoever holds the mark renews it and counts that in it. A mark that is not renewed for `LEASE`
seconds is void: its holder was killed. Whether it is renewed is watched, by the count, for that
long: the clocks of two machines may differ by minutes. Only where they agree that it was renewed
just now is nothing watched, and the answer given at once. The holder itself, a data directory on
one machine, has its mark back without waiting.

After the switch (load/target/switch_mark.py) the mark says so, whoever holds it, and stays when it
is released. It is nobody's then who does not say that he writes `after_switch`.
"""

from __future__ import annotations

import platform
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from hashlib import blake2b
from typing import Any

import orjson

from load.target.switch_mark import AT, Allows, Switched, refusal
from load.writing.conditional_writer import ConditionalWriter
from load.writing.conditions import Condition
from utils.config import Config
from utils.dynamodb.table_spec import MARK_KEY, PARTITION_KEY, TableSpec
from utils.error_handler import MigrationError, TargetError
from utils.files.artifacts import utc_now
from utils.files.workspace import Workspace
from utils.interrupt import Interrupted, StopFlag
from utils.logger import get_logger
from utils.ownership import forget_verified
from utils.run.lifecycle import mask_key
from utils.run.session import AtWork
from utils.wording.invocation import again

LEASE = 60.0
RENEWED_EVERY = 15.0
_LOOK_EVERY = 5.0
_held: set[str] = set()  # the tables that this process has marked


@dataclass(frozen=True)
class Holder:
    """Who marks: `owner` stands for a data directory on a machine, the rest is for people."""

    owner: str
    work: str
    run: str
    host: str
    since: str

    @classmethod
    def of(cls, work: AtWork, what: str) -> Holder:
        """`what` is being done: "a load", …"""
        here = host()
        owner = _owner(here, work.workspace, mask_key(work.workspace))
        manifest = getattr(work, "manifest", None)
        return cls(owner, what, manifest.run_id if manifest else "", here, utc_now())

    def item(self, count: int) -> dict[str, Any]:
        """The mark, renewed `count` times."""
        texts = {
            "owner": self.owner,
            "work": self.work,
            "run": self.run,
            "host": self.host,
            "since": self.since,
            "renewed": utc_now(),
        }
        stored = {name: {"S": text} for name, text in texts.items() if text}
        return {**MARK_KEY, **stored, "renewals": {"N": str(count)}}


def host() -> str:
    """The name of this machine."""
    return platform.node() or "an unnamed machine"


def _owner(host: str, files: Workspace, key: bytes) -> str:
    place = f"{host}:{files.root.resolve()}".encode()
    return blake2b(place, digest_size=16, key=key).hexdigest()


@dataclass(frozen=True)
class Seen:
    """A mark that somebody else has looked at: who holds it, `is_ours` when that is the same data
    directory, `is_renewed` when it was renewed just now, if both clocks are right."""

    words: str
    is_ours: bool
    is_renewed: bool


def seen(found: dict[str, Any], files: Workspace) -> Seen:
    """What a mark (an item) says to whoever has these files; nothing is written there."""
    with suppress(OSError):
        key = files.mask_key.read_bytes()
        ours = _text(found, "owner") == _owner(host(), files, key)
        return Seen(in_words(found), ours, _just_renewed(found))
    return Seen(in_words(found), False, _just_renewed(found))


def marks_on(work: AtWork, tables: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The marks (items) that some tables have, {} where there is none. Raises TargetError."""
    found = {}
    for table in dict.fromkeys(tables):
        writer = ConditionalWriter(work.config, TableSpec("", ()), work.stop, table=table)
        found[table] = next(iter(writer.find([MARK_KEY]).values()), {})
    return found


def others_at_work(work: AtWork, tables: Sequence[str], files: Workspace) -> list[MigrationError]:
    """Who would be in the way of a load from the data directory `files`, if it began now: an error
    for each of some tables that somebody else is writing to, or for the first that says that S9 is
    history. Writes nothing."""
    found = marks_on(work, tables)
    for table, mark in found.items():
        if switched := Switched.in_item(mark):
            return [refusal(work.config.target, table, switched, "a load")]
    looks = {table: seen(mark, files) for table, mark in found.items() if mark}
    return [
        _in_use(table, found[table])
        for table, look in looks.items()
        if look.is_renewed and not look.is_ours
    ]


@contextmanager
def marked(work: AtWork, tables: Sequence[str], what: str) -> Iterator[None]:
    """Mark tables (names; String keys PK and SK) while the context lasts; `what` is being done:
    "a load". Tables that this process has marked already stay as they are.

    Who marks writes: what a cut-over has verified is forgotten (utils/ownership.py).

    Raises TargetError when somebody else is at work on one of them, also when that turns out in
    the middle (this process was asleep for longer than `LEASE`), and Interrupted.
    """
    forget_verified(work.workspace)
    wanted = [table for table in tables if table not in _held]
    is_told = getattr(work, "after_switch", False)
    with holding(work, wanted, what, (lambda _: True) if is_told else None):
        yield


@contextmanager
def holding(
    work: AtWork, tables: Sequence[str], what: str, allows: Allows | None
) -> Iterator[list[Mark]]:
    """Hold the marks of tables while the context lasts. A table that says that S9 is history is
    held only where `allows` says so of that switch, and goes on saying it. Raises as `marked` does,
    and ConfigurationError."""
    holder = Holder.of(work, what)
    marks = [Mark(work.config, table, holder, allows) for table in sorted(set(tables))]
    taken: list[Mark] = []
    keeper = _Keeper(taken, work.stop)
    try:
        for mark in marks:
            taken.append(mark)  # also where the answer was lost it may be there
            mark.take(work)
            _held.add(mark.table)
        with keeper:
            yield taken
    except Interrupted:
        keeper.complain()
        raise
    finally:
        for mark in taken:
            _held.discard(mark.table)
            mark.release()
    keeper.complain()


class Mark:
    """The mark of one table; `switched` is what it says of the switch, and goes on saying."""

    def __init__(
        self, config: Config, table: str, holder: Holder, allows: Allows | None = None
    ) -> None:
        self.table = table
        self.switched: Switched | None = None
        self._allows = allows
        self._rests = False
        self._holder = holder
        self._config = config
        self._count = 0
        # What is done at the end is done also after a stop was asked for.
        self._writer = self._writer_until(StopFlag())

    def _writer_until(self, stop: StopFlag) -> ConditionalWriter:
        return ConditionalWriter(self._config, TableSpec("", ()), stop, table=self.table)

    def take(self, work: AtWork) -> None:
        """Have the mark. Raises TargetError when it is somebody else's."""
        writer = self._writer_until(work.stop)
        if self._allows is not None:
            self._require_allowed(self._look(writer))
        found = self._put(writer, self._free())
        if found is None:
            return
        self._require_allowed(found)
        if not _just_renewed(found):
            get_logger().info(
                "%s is marked: %s. Watching for %.0f s to see whether that is still at work",
                self.table,
                in_words(found),
                LEASE,
            )
            with work.progress.task("load", "", None, step="watching another writer"):
                _watch(found, lambda: self._look(writer), work.stop.sleep)
            found = self._put(writer, _as_seen(found))
        if found is not None:
            raise _in_use(self.table, found)

    def _require_allowed(self, found: dict[str, Any]) -> None:
        """Take in what the mark that is there says of the switch. Raises ConfigurationError."""
        self.switched = Switched.in_item(found)
        if self.switched and not (self._allows and self._allows(self.switched)):
            what = self._holder.work
            raise refusal(self._config.target, self.table, self.switched, what)

    def _free(self) -> Condition:
        """That the mark is this one's, or nobody's."""
        return _free_or(self._holder.owner, self.switched)

    def rest(self, switched: Switched) -> None:
        """Nobody holds the mark any more, and it says that S9 is history. Raises TargetError."""
        self._rests = True  # from now on it is not renewed
        item = orjson.dumps(switched.at_rest())
        if not self._writer.put(item, _mine(self._holder.owner)).done:
            raise _in_use(self.table, self._look(self._writer))

    def clear(self) -> None:
        """Nobody holds the mark any more, and it says nothing of a switch. Raises TargetError."""
        self._rests = True
        if not self._writer.delete(self._holder.item(0), _mine(self._holder.owner)).done:
            raise _in_use(self.table, self._look(self._writer))

    def renew(self) -> bool:
        """Whether the mark is still this one's."""
        return self._rests or self._put(self._writer, self._free()) is None or self._rests

    def release(self) -> None:
        """Take the mark away, but for what it says of the switch; where that cannot be done, nobody
        holds it after a while."""
        if self._rests:
            return
        with suppress(MigrationError):
            if self.switched:
                item = orjson.dumps(self.switched.at_rest())
                self._writer.put(item, _mine(self._holder.owner))
            else:
                self._writer.delete(self._holder.item(0), _mine(self._holder.owner))
            return
        get_logger().warning(
            "The mark on %s could not be removed: it expires after %.0f s", self.table, LEASE
        )

    def _put(self, writer: ConditionalWriter, condition: Condition) -> dict[str, Any] | None:
        """None when it is done, else what is there; {} for nothing."""
        self._count += 1
        item = self._holder.item(self._count)
        item |= self.switched.attributes() if self.switched else {}
        written = writer.put(orjson.dumps(item), condition)
        return None if written.done else written.found or {}

    def _look(self, writer: ConditionalWriter) -> dict[str, Any]:
        return next(iter(writer.find([MARK_KEY]).values()), {})


class _Keeper:
    """Renews marks while a context lasts; stops the work when one has gone to somebody else."""

    def __init__(self, marks: Sequence[Mark], stop: StopFlag) -> None:
        self._marks = marks
        self._stop = stop
        self._ended = threading.Event()
        self._lost = ""
        self._thread = threading.Thread(target=self._keep, name="mark", daemon=True)

    def __enter__(self) -> None:
        if self._marks:
            self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        if self._marks:
            self._thread.join()

    def _keep(self) -> None:
        while not self._ended.wait(RENEWED_EVERY):
            for mark in self._marks:
                with suppress(MigrationError):  # the work will hear of it soon enough
                    if not mark.renew():
                        self._lost = mark.table
                        self._stop.request()
                        return

    def complain(self) -> None:
        """Raise TargetError when a mark was lost."""
        if self._lost:
            raise TargetError(
                f"somebody else has taken over {self._lost}: this run stood still for more than "
                f"{LEASE:.0f} s, and its mark on the table expired",
                remedy=f"wait until that has ended, then run: {again()}",
            )


def _watch(
    found: dict[str, Any],
    look: Callable[[], dict[str, Any]],
    sleep: Callable[[float], None],
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Return when a mark has not been renewed for `LEASE` seconds of this machine's clock, or as
    soon as it is another."""
    deadline = clock() + LEASE
    while clock() < deadline and look() == found:
        sleep(_LOOK_EVERY)


def in_words(found: dict[str, Any]) -> str:
    """Who holds a mark, and since when."""
    run = f" of run {_text(found, 'run')}" if "run" in found else ""
    return f"{_text(found, 'work')}{run} on {_text(found, 'host')}, since {_text(found, 'since')}"


def _in_use(table: str, found: dict[str, Any]) -> TargetError:
    return TargetError(
        f"{table} is being written to by somebody else: {in_words(found)} (its mark was last "
        f"renewed at {_text(found, 'renewed')}); nothing was written here",
        remedy=f"wait until that has ended. If it was killed, its mark expires {LEASE:.0f} s "
        f"after that time; then run: {again()}",
    )


def _just_renewed(found: dict[str, Any]) -> bool:
    """Whether a mark was renewed within `LEASE`, if both clocks are right."""
    try:
        renewed = datetime.strptime(_text(found, "renewed"), "%Y-%m-%dT%H:%M:%SZ")
    except ValueError:
        return False
    away = datetime.now(timezone.utc) - renewed.replace(tzinfo=timezone.utc)
    return abs(away.total_seconds()) < LEASE


def _mine(owner: str) -> Condition:
    return Condition.of("#o = :o", {"#o": "owner"}, {":o": {"S": owner}})


def _free_or(owner: str, switched: Switched | None) -> Condition:
    """That there is no mark, or this owner's, or, where that is known of, nobody's since the
    switch."""
    names, values = {"#k": PARTITION_KEY, "#o": "owner", "#s": AT}, {":o": {"S": owner}}
    if switched is None:
        mine = "#o = :o AND attribute_not_exists(#s)"
        return Condition.of(f"attribute_not_exists(#k) OR ({mine})", names, values)
    return Condition.of(
        "attribute_not_exists(#k) OR #o = :o OR (#s = :s AND attribute_not_exists(#n))",
        {**names, "#n": "renewals"},
        {**values, ":s": {"S": switched.at}},
    )


def _as_seen(found: dict[str, Any]) -> Condition:
    """The condition that a mark is still what was seen, or gone."""
    return Condition.of(
        "attribute_not_exists(#k) OR (#o = :o AND #n = :n)",
        {"#k": PARTITION_KEY, "#o": "owner", "#n": "renewals"},
        {":o": found.get("owner", {"S": ""}), ":n": found.get("renewals", {"N": "0"})},
    )


def _text(found: dict[str, Any], name: str) -> str:
    return str(found.get(name, {}).get("S", "?"))
