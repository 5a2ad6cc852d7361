"""How far the log of S9 is followed: data/sync/following.json, for who goes on with it, and for
`status`.

It says less than it could rather than more: what it has not heard of is told by the log once more,
and looked at again for nothing.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path

import orjson

from utils.error_handler import ArtifactError
from utils.files.storage import make_directory, storage_errors, write_atomically
from utils.settings.typed_json import fits
from utils.wording.invocation import command

VERSION = 1
NEVER = "~"
"""The `snapshot` of who has still to compare everything once: it is later than every moment."""


@dataclass
class Following:
    """`name` is what is called so at S9, `log` what the reader of its log needs to go on
    (`ChangeLog.state`), "" and nothing while nothing is followed. `snapshot` is as of when the
    target is in step, by S9's clock. The rest is for people: `since` when it is followed, `passes`
    and `records` since then (those that were written or taken away), `at` when this was written,
    `lag` in seconds from when S9 committed the oldest change of the last pass to when that was
    written, `oldest` since when something waits ("" for nothing), `retained` the bytes of log that
    S9 keeps for it, `trouble` what is wrong with that.
    """

    name: str = ""
    log: dict[str, str] = field(default_factory=dict)
    snapshot: str = ""
    since: str = ""
    at: str = ""
    passes: int = 0
    records: int = 0
    lag: float = 0.0
    oldest: str = ""
    retained: int = 0
    trouble: str = ""

    @property
    def is_behind(self) -> bool:
        """Whether everything has still to be compared once."""
        return self.snapshot == NEVER

    @property
    def records_per_minute(self) -> float:
        """How many records were written or taken away a minute, since it is followed."""
        then, now = (
            datetime.fromisoformat(each.replace("Z", "+00:00")) for each in (self.since, self.at)
        )
        minutes = (now - then).total_seconds() / 60
        return self.records / minutes if minutes > 0 else 0.0

    @classmethod
    def load(cls, path: Path) -> Following:
        """What the file says; that there is none means that nothing is followed. Raises
        ArtifactError when it is damaged, and StorageError."""
        with storage_errors(path):
            if not path.exists():
                return cls()
            text = path.read_bytes()
        try:
            plain = orjson.loads(text)
            if plain.pop("version") != VERSION:
                raise ValueError("version")
            found = cls(**plain)
            if not fits(found, cls):
                raise ValueError("type")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ArtifactError(
                f"{path} is damaged and cannot be read ({type(error).__name__})",
                remedy=f"end what S9 keeps for it, which begins it anew: {command('sync --stop')}",
            ) from error
        return found

    def save(self, path: Path) -> None:
        """Write it durably. Raises StorageError."""
        make_directory(path.parent)
        write_atomically(path, orjson.dumps({"version": VERSION, **asdict(self)}) + b"\n")
