"""What the last pass has kept of an entity: its extracted file, what was made of that before any
numbering, and how often what was applied."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from transform.census.tally import Tally
from transform.pieces.beside_earlier import Earlier
from transform.refusals import PHASE
from utils.earlier.kept import Keeping
from utils.run.run import Run


@dataclass(frozen=True)
class LastPass:
    """What is built upon, all of which is proven; `digests` are the SHA-256 of the files."""

    files: Earlier
    digests: Mapping[str, str]
    tally: Tally

    @classmethod
    def found(cls, run: Run, entity: str, settings: str) -> LastPass | None:
        """What there is, if it was made by the same settings; None where nothing can be built
        upon."""
        keeping = cls.keeping(run, entity, settings)
        with run.progress.task(PHASE, entity, None, step="looking for what has changed"):
            kept = keeping.proven()
        if kept is None or kept.digests.keys() != {"rows", "items"}:
            return None
        files = Earlier(keeping.path("rows"), keeping.path("items"))
        digests = {f"last pass: {kind}": digest for kind, digest in kept.digests.items()}
        return cls(files, digests, Tally.of_json(kept.told))

    @staticmethod
    def keeping(run: Run, entity: str, settings: str) -> Keeping:
        """Where it is kept."""
        return Keeping(run, PHASE, entity, settings)
