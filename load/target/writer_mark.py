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
        host = _host()
        owner = _owner(host, work.workspace, mask_key(work.workspace))
        manifest = getattr(work, "manifest", None)
        return cls(owner, what, manifest.run_id if manifest else "", host, utc_now())

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


def _host() -> str:
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
        ours = _text(found, "owner") == _owner(_host(), files, key)
        return Seen(in_words(found), ours, _just_renewed(found))
    return Seen(in_words(found), False, _just_renewed(found))


def others_at_work(work: AtWork, tables: Sequence[str], files: Workspace) -> list[TargetError]:
    """Who would be in the way of a load from the data directory `files`, if it began now: an error
    for each of some tables that somebody else is writing to. Writes nothing."""
    found = {}
    for table in dict.fromkeys(tables):
        writer = ConditionalWriter(work.config, TableSpec("", ()), work.stop, table=table)
        found[table] = next(iter(writer.find([MARK_KEY]).values()), {})
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
    wanted = sorted(set(tables) - _held)
    holder = Holder.of(work, what)
    marks = [_Mark(work.config, table, holder) for table in wanted]
    taken: list[_Mark] = []
    keeper = _Keeper(taken, work.stop)
    try:
        for mark in marks:
            taken.append(mark)  # also where the answer was lost it may be there
            mark.take(work)
            _held.add(mark.table)
        with keeper:
            yield
    except Interrupted:
        keeper.complain()
        raise
    finally:
        for mark in taken:
            _held.discard(mark.table)
            mark.release()
    keeper.complain()


class _Mark:
    """The mark of one table."""

    def __init__(self, config: Config, table: str, holder: Holder) -> None:
        self.table = table
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
        found = self._put(writer, _mine_or_none(self._holder.owner))
        if found is None:
            return
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

    def renew(self) -> bool:
        """Whether the mark is still this one's."""
        return self._put(self._writer, _mine_or_none(self._holder.owner)) is None

    def release(self) -> None:
        """Take the mark away; where that cannot be done it is void after a while."""
        with suppress(MigrationError):
            self._writer.delete(self._holder.item(0), _mine(self._holder.owner))
            return
        get_logger().warning(
            "The mark on %s could not be removed: it expires after %.0f s", self.table, LEASE
        )

    def _put(self, writer: ConditionalWriter, condition: Condition) -> dict[str, Any] | None:
        """None when it is done, else what is there; {} for nothing."""
        self._count += 1
        item = self._holder.item(self._count)
        written = writer.put(orjson.dumps(item), condition)
        return None if written.done else written.found or {}

    def _look(self, writer: ConditionalWriter) -> dict[str, Any]:
        return next(iter(writer.find([MARK_KEY]).values()), {})


class _Keeper:
    """Renews marks while a context lasts; stops the work when one has gone to somebody else."""

    def __init__(self, marks: Sequence[_Mark], stop: StopFlag) -> None:
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
    return Condition("#o = :o", {"#o": "owner"}, {":o": {"S": owner}})


def _mine_or_none(owner: str) -> Condition:
    return Condition(
        "attribute_not_exists(#k) OR #o = :o",
        {"#k": PARTITION_KEY, "#o": "owner"},
        {":o": {"S": owner}},
    )


def _as_seen(found: dict[str, Any]) -> Condition:
    """The condition that a mark is still what was seen, or gone."""
    return Condition(
        "attribute_not_exists(#k) OR (#o = :o AND #n = :n)",
        {"#k": PARTITION_KEY, "#o": "owner", "#n": "renewals"},
        {":o": found.get("owner", {"S": ""}), ":n": found.get("renewals", {"N": "0"})},
    )


def _text(found: dict[str, Any], name: str) -> str:
    return str(found.get(name, {}).get("S", "?"))
