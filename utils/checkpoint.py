"""The checkpoint: how far inside one entity of one phase a run is known to be.

There is one, because phases and entities run one after the other. What it says is durable before
it is: whoever saves it has synced its files, or has every acknowledgement, first. The file is

    {"sha256": "…", "checkpoint": {"version", "run_id", "phase", "entity", "configuration",
     "inputs", "done", "total", "unit", "at", "state": {…}}}

where `configuration` has a digest of every section that shapes the outcome, `inputs` the SHA-256
of the files that are read, and `state` is the phase's own: a key, byte offsets, partial files.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson

from utils.config import CheckpointConfig
from utils.error_handler import ArtifactError
from utils.files.storage import storage_errors, write_atomically
from utils.interrupt import Interrupted, StopFlag
from utils.wording.invocation import again

VERSION = 2
# A checkpoint costs a few fsyncs. Waiting at least twenty times what the last one cost keeps the
# share of all checkpoints below five percent of the time, whatever `checkpoint.interval` says.
_REST_PER_COST = 20.0


@dataclass(frozen=True)
class Checkpoint:
    """One saved place. `done` and `total` count `unit` (records or items), for people."""

    run_id: str
    phase: str
    entity: str
    configuration: Mapping[str, str]
    inputs: Mapping[str, str]
    done: int
    total: int
    unit: str
    at: str
    state: Mapping[str, Any]
    version: int = VERSION


class CheckpointFile:
    """The checkpoint on disk."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def save(self, checkpoint: Checkpoint) -> None:
        """Replace the checkpoint, durably. Raises StorageError: the run must stop then."""
        body = orjson.dumps(asdict(checkpoint))
        digest = hashlib.sha256(body).hexdigest().encode()
        # No line break at the end: whatever is cut off, what is left is no JSON.
        write_atomically(self._path, b'{"sha256":"%b","checkpoint":%b}' % (digest, body))

    def load(self) -> Checkpoint | None:
        """The checkpoint, None when there is none.

        Raises ArtifactError when the file is damaged, or of another version than this tool's.
        """
        if not self._path.exists():
            return None
        try:
            document = orjson.loads(self._path.read_bytes())
            body = document["checkpoint"]
            digest = hashlib.sha256(orjson.dumps(body)).hexdigest()
            if digest != document["sha256"]:
                raise ValueError("digest")
            if body["version"] != VERSION:
                raise self._refused(
                    f"has version {body['version']}, this tool understands {VERSION}"
                )
            return Checkpoint(**body)
        except (ValueError, KeyError, TypeError) as error:
            raise self._refused("is damaged (cut short or edited)") from error

    def _refused(self, why: str) -> ArtifactError:
        return ArtifactError(
            f"the checkpoint {self._path} {why}",
            remedy=f"delete {self._path}, then run: {again()} (its phase starts this entity over; "
            "nothing that was done is lost)",
        )

    def clear(self) -> None:
        """Remove the checkpoint, and what is left of one that was never completed."""
        with storage_errors(self._path):
            self._path.unlink(missing_ok=True)
            self._path.with_name(self._path.name + ".tmp").unlink(missing_ok=True)


class Tracker:
    """Saves the place of one phase in one entity: now and then, and when asked to stop. `tell`
    hears of each place that is saved."""

    def __init__(
        self,
        file: CheckpointFile,
        config: CheckpointConfig,
        stop: StopFlag,
        place: Callable[[int, Mapping[str, Any]], Checkpoint],
        *,
        done: int = 0,
        clock: Callable[[], float] = time.monotonic,
        tell: Callable[[int], object] = lambda _done: None,
    ) -> None:
        self._file = file
        self._config = config
        self._stop = stop
        self._place = place
        self._clock = clock
        self._tell = tell
        self._saved = done
        self._not_before = 0.0

    def reached(self, done: int, state: Callable[[], Mapping[str, Any]]) -> None:
        """Everything up to `done` is dealt with; `state` syncs files and describes the place.

        Raises Interrupted, after saving, when a stop has been asked for.
        """
        stopping = self._stop.requested
        if stopping or self._due(done):
            self.save(done, state)
        if stopping:
            raise Interrupted

    def save(self, done: int, state: Callable[[], Mapping[str, Any]]) -> None:
        """Save the place now (if places are saved at all)."""
        if not self._config.enabled:
            return
        start = self._clock()
        self._file.save(self._place(done, state()))
        end = self._clock()
        self._saved = done
        self._not_before = end + _REST_PER_COST * (end - start)
        self._tell(done)

    def _due(self, done: int) -> bool:
        return done - self._saved >= self._config.interval and self._clock() >= self._not_before
