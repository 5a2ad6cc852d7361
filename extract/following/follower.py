"""Following the log of S9: what it names is brought over a few seconds later, pass by pass.

Each pass is a sync of its own, through all phases; only its extract is another one
(extract/following/narrow.py). What S9's log has told is confirmed when the pass is durable: killed
anywhere, it is told again, and looked at again for nothing. Where the log does not go on, or has
not told everything, the pass compares everything, as one without a log does.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import NoReturn

from extract.change_log.change_log import ChangeLog, Changes, Retained
from extract.declaration import Entity
from extract.following.at_s9 import known_following, name_of_log
from extract.following.opening import drop_log, open_log
from extract.following.retention import Bound, TooMuch, beside
from extract.following.tables import followed_tables, names_of
from extract.snapshot.continuity import PHASE
from utils.entities import ENTITY_NAMES
from utils.error_handler import ExitCode, MigrationError, SourceError, SourceUnavailable
from utils.files.artifacts import utc_now
from utils.interrupt import Interrupted
from utils.logger import OF_THE_WHOLE, get_logger
from utils.run.following import NEVER, Following
from utils.run.lifecycle import is_unfinished
from utils.run.run import COMPLETE, Run
from utils.telemetry.events import Followed
from utils.wording.figures import counted, lasting
from utils.wording.invocation import again, command

_AT_ONCE = 1.0  # seconds for which a change is waited for, and until a stop is noticed
_TOLD_EVERY = 5.0  # seconds between two looks at what S9 keeps
_ENDS_WELL = (ExitCode.DONE, ExitCode.QUARANTINED)
_PATIENCE = 600.0  # seconds for which an S9 that has gone away is waited for
_AGAIN = 5.0  # seconds between two tries


@dataclass
class Narrow:
    """The extract of a pass that reads only what these changes name. `done` is all of them that it
    has brought over then; `left` is what has come meanwhile, and is for the next one."""

    changes: Changes
    log: ChangeLog
    done: Changes = field(init=False)
    left: Changes = field(default_factory=Changes)

    def __post_init__(self) -> None:
        self.done = self.changes.and_then(Changes())

    def take(self, further: Changes, *, is_seen: bool) -> None:
        """More has come; `is_seen`: the snapshot of the pass sees it."""
        self.done = self.changes.and_then(Changes())
        self.changes = self.changes.and_then(further)
        if is_seen:
            self.done, self.left = self.changes.and_then(Changes()), Changes()
        else:
            self.left = further


Pass = Callable[[Narrow | None], ExitCode]
"""Does one pass, narrow or of everything, or completes the one that is unfinished."""


@dataclass
class Follower:
    """Follows the log in an open run. `declared` are the entities; `do` does a pass; `written` says
    how many records the last one has written or taken away, `records` all of them here."""

    run: Run
    declared: Mapping[str, Entity]
    do: Pass
    written: Callable[[], int]
    clock: Callable[[], float] = time.monotonic
    state: Following = field(init=False)
    bound: Bound = field(init=False)
    fence: str = ""
    records: int = 0
    _code: ExitCode = ExitCode.DONE
    _was_there: bool = False
    _gone_at: float | None = None  # since when it is not there
    _looked_at: float = float("-inf")

    def __post_init__(self) -> None:
        config = self.run.config
        self.bound = Bound(config.sync.max_retained_log, config.source.type != "mysql")

    def catch_up(self) -> ExitCode:
        """Bring over all that S9 has committed by now: up to a mark in its log, the `fence`.
        Returns how the last pass has ended. Raises as `follow` does, and Interrupted."""
        code = self.follow(for_good=False)
        self.run.stop.leave_if_asked()
        return code

    def follow(self, *, for_good: bool = True) -> ExitCode:
        """Until a stop is asked for, or a pass ends otherwise than well; returns how the last one
        has ended. An S9 that goes away is waited for.

        Raises SourceError when the log cannot be followed, or keeps too much; SourceUnavailable
        when S9 does not come back; Interrupted when a stop is asked for in the middle of a pass;
        what else a pass raises.
        """
        self.state = known_following(self.run.config, self.run.workspace)
        while True:
            try:
                return self._follow(for_good=for_good)
            except SourceUnavailable as gone:
                if not self._may_come_back():
                    self._remind(gone)
                    raise
                get_logger().warning("%s: trying again", gone.message)
                self.run.stop.rest(_AGAIN)
                if self.run.stop.requested:
                    if is_unfinished(self.run.manifest):
                        raise Interrupted from gone
                    return self._code
            except TooMuch as over:
                self._give_free(over)
            except MigrationError as error:
                self._remind(error)
                raise

    def _may_come_back(self) -> bool:
        """Whether an S9 that has been there is waited for still."""
        self._gone_at = self.clock() if self._gone_at is None else self._gone_at
        return self._was_there and self.clock() - self._gone_at <= _PATIENCE

    def _remind(self, error: MigrationError) -> None:
        """Who does not go on must know what S9 does meanwhile."""
        if self.run.config.source.type != "mysql" and self.state.name:
            error.remedy += (
                f"\nS9 keeps its log until this goes on ({again()}), or until it is told not to: "
                f"{command('sync --stop')}"
            )

    def _follow(self, *, for_good: bool) -> ExitCode:
        source, state = self.run.config.source, self.state
        followed = followed_tables(self.run, self.declared)
        name = state.name or name_of_log(self.run.config)
        with open_log(source, self.run.stop, followed, name, state.log) as log:
            self._was_there, self._gone_at = True, None
            self._begin(name, log)
            if not self._is_brought_up(log):
                return self._code
            if for_good:
                self._say("Following S9's log (Ctrl-C ends it; the same command goes on)")
            left, self.fence = Changes(), "" if for_good else log.fence()
            while not (self.run.stop.requested or (left.is_empty and self._is_reached(log))):
                changes = left.and_then(log.read(0 if left.transactions else _AT_ONCE))
                narrow = Narrow(changes, log)
                if not changes.is_empty and not self._passes(log, narrow):
                    break
                left = narrow.left
                self._is_done(log, narrow.done)
            self._keep(log)
            return self._code

    def _is_reached(self, log: ChangeLog) -> bool:
        """Whether all is brought over that was to be."""
        return bool(self.fence) and log.has_passed(self.fence)

    def _begin(self, name: str, log: ChangeLog) -> None:
        """What S9 keeps from now on must be known to whoever takes it away again. Who begins anew
        is in step with nothing until all has been compared once."""
        now = utc_now()
        if log.begins_anew and self.state.log:
            get_logger().warning("S9's log does not go on where it was: %s", log.begins_anew)
        if log.begins_anew:
            self.state = Following(since=now, snapshot=NEVER)
        self.state.name, self.state.log, self.state.at = name, dict(log.state()), now
        self._save()

    def _is_brought_up(self, log: ChangeLog) -> bool:
        """Bring everything to where the log goes on; False when that has not ended well."""
        if is_unfinished(self.run.manifest):
            with beside(lambda: self._look(log), _TOLD_EVERY):
                self._code = self.do(None)  # completes it
            if self._code not in _ENDS_WELL:
                return False
        reason = log.begins_anew or self._why_not_in_step()
        if not reason:
            return True
        self._say(f"Comparing everything: {reason}")
        return self._passes(log, None)

    def _why_not_in_step(self) -> str:
        """Why the extracted files cannot be what the log goes on from; "" when they can."""
        manifest, files = self.run.manifest, self.run.workspace
        entries = [manifest.phase(PHASE, name) for name in ENTITY_NAMES]
        if not all(
            entry and entry.status == COMPLETE and files.extracted(name).exists()
            for name, entry in zip(ENTITY_NAMES, entries, strict=True)
        ):
            return "what was extracted last is not there"
        if manifest.rolled_back:
            return "the load before was undone"
        if manifest.outcome not in _ENDS_WELL:
            return "the run before has not ended well"
        if str(manifest.snapshot.get("takenAt", "")) < self.state.snapshot:
            return "not everything was compared since the log is followed"
        return ""

    def _passes(self, log: ChangeLog, narrow: Narrow | None) -> bool:
        """Do a pass; whether it has ended well."""
        began, oldest = self.clock(), narrow.changes.oldest if narrow else ""
        if narrow is not None:
            get_logger().debug("Changed in S9: %s", ", ".join(names_of(narrow.changes)))
            for reason in sorted(narrow.changes.whole):
                self._say(f"Comparing everything: {reason}")
            self.state.oldest, self.state.at = oldest, utc_now()
            self._save()
            self._emit()
        with beside(lambda: self._look(log), _TOLD_EVERY):
            self._code = self.do(narrow)
        if self._code not in _ENDS_WELL:
            return False
        state, written = self.state, self.written()
        self.records += written
        state.passes, state.records = state.passes + 1, state.records + written
        state.snapshot = str(self.run.manifest.snapshot.get("takenAt", ""))
        state.oldest, state.lag = "", round(_since(oldest), 3) if oldest else 0.0
        lag = f", {lasting(state.lag)} after the oldest of these changes" if oldest else ""
        seconds = lasting(self.clock() - began)
        self._say(f"In step with S9: {counted(written, 'record')} in {seconds}{lag}")
        return True

    def _is_done(self, log: ChangeLog, changes: Changes) -> None:
        """What these changes are of is durable: S9 may forget it. Raises TooMuch when it keeps
        more than it may all the same."""
        if changes.position:
            log.confirm(changes.position)
        if changes.is_empty and self.clock() - self._looked_at < _TOLD_EVERY:
            return
        self._looked_at = self.clock()
        self._keep(log)
        kept = self._look(log)
        self.bound.check(kept)
        if self.bound.is_over(kept):
            log.fence()  # where nothing else is written, S9 would never look at what it may forget

    def _keep(self, log: ChangeLog) -> None:
        """How far the log is done. That is kept before S9 is told: of two that go on from different
        places, the log has then no more all that the earlier one needs, and says so."""
        self.state.log = dict(log.state())
        self._save()
        log.let_forget()

    def _look(self, log: ChangeLog) -> Retained:
        """See, and say, what S9 keeps."""
        kept, state = log.retained(), self.state
        if kept.trouble and kept.trouble != state.trouble:
            get_logger().warning("%s", kept.trouble)
        self.bound.tell(kept)
        state.retained, state.trouble, state.at = kept.bytes, kept.trouble, utc_now()
        self._save()
        self._emit()
        return kept

    def _emit(self) -> None:
        state = self.state
        waiting = _since(state.oldest) if state.oldest else 0.0
        self.run.events.emit(Followed(lag=state.lag, oldest=waiting, retained=state.retained))

    def _give_free(self, over: TooMuch) -> NoReturn:
        """End what S9 keeps for us, before it fills its disk. Raises SourceError."""
        drop_log(self.run.config.source, self.state.name)
        Following().save(self.run.workspace.following)
        raise SourceError(
            f"{over}: it was given free, and is followed no longer",
            remedy="see what holds it up (a long transaction in S9), or allow more; "
            f"then: {again()}, which compares everything once",
        ) from over

    def _save(self) -> None:
        self.state.save(self.run.workspace.following)

    @staticmethod
    def _say(text: str) -> None:
        get_logger().info("%s", text, extra=OF_THE_WHOLE)


def _since(moment: str) -> float:
    """Seconds since a moment (ISO 8601)."""
    then = datetime.fromisoformat(moment.replace("Z", "+00:00"))
    return max(0.0, (datetime.now(timezone.utc) - then).total_seconds())
