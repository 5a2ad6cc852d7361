"""The engine that turns an extracted file into a transformed one, record by record.

What it writes is what DynamoDB gets: `{"Item": {…}}` lines in DynamoDB JSON, the body of a
PutRequest byte for byte. Refused records go to quarantine whole.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from transform.census.tally import Tally
from transform.held_numbers import held_in
from transform.layout import layout_of
from transform.pieces.by_parts import Parts
from transform.pieces.last_pass import LastPass
from transform.pieces.piece import Transformed, transform_piece
from transform.refusals import PHASE
from transform.row_to_texts import all_targets
from transform.rules import Placeholder, TransformRules
from utils.checkpoint import Checkpoint
from utils.config import TransformationConfig
from utils.entities import shape_of
from utils.files.artifacts import ArtifactWriter, PartialState
from utils.files.parts import tidy
from utils.files.pieces import ByteRange, places
from utils.files.spill import Scratch
from utils.files.storage import storage_errors
from utils.files.workspace import Workspace
from utils.findings.source_names import names_of
from utils.logger import get_logger
from utils.run.manifest import PhaseEntry
from utils.run.run import Run, settings_digest
from utils.sale_numbering import Numbering, NumbersSoFar, write_numbered


def rules_of(run: Run) -> TransformRules:
    """The rules that configuration and manifest give."""
    chosen = run.config.transformation
    return TransformRules(
        generate_ids=chosen.generate_ids,
        preserve_timestamps=chosen.preserve_timestamps,
        default_currency=chosen.default_currency,
        default_language=chosen.default_language,
        migration_user=chosen.migration_user,
        migration_timestamp=run.manifest.migration_timestamp,
        user_mapping=chosen.user_mapping,
        status_mapping=chosen.status_mapping,
        timezone=run.config.source.timezone,
        layout=run.config.source.layout,
        id_scope=layout_of(run.config.source.layout).id_scope,
        placeholders=_placeholders(chosen),
        fractions_above_one=chosen.fractions_above_one,
        default_document=chosen.default_doc_type or "",
        issued_statuses=frozenset(word.strip().lower() for word in chosen.issued_statuses),
        updated_at=run.manifest.updated_at,
    )


def _placeholders(chosen: TransformationConfig) -> dict[str, Placeholder]:
    if chosen.missing_party != "placeholder":
        return {}
    parties = {"buyer": chosen.placeholder_buyer, "producer": chosen.placeholder_producer}
    return {
        kind: Placeholder(party.id, party.name, party.country)
        for kind, party in parties.items()
        if party.id is not None
    }


def settings(run: Run) -> str:
    """The digest of every setting that shapes a transformed file."""
    chosen = replace(
        run.config.transformation, migration_timestamp=run.manifest.migration_timestamp
    )
    return settings_digest(chosen, run.config.source.timezone, run.manifest.updated_at)


def transform(
    run: Run, entity: str, *, keeps: bool = False, builds_on_last: bool = False
) -> PhaseEntry:
    """Transform one entity's extracted file; returns the phase's entry in the manifest. What was
    made is kept for the next pass, if it `keeps` it; what the last pass has kept is built upon,
    line for line, if it `builds_on_last`.

    Raises ArtifactError when the extracted file is not what the extract wrote.
    """
    extracted = run.artifact(run.workspace.extracted(entity), written_by="extract")
    parts = None if builds_on_last else Parts.of(run, entity, extracted)
    if parts is not None:
        entry = _by_parts(run, entity, parts, extracted.records)
    else:
        entry = _piece_by_piece(run, entity, keeps=keeps, builds_on_last=builds_on_last)
    for path in (run.workspace.transformed(entity), run.workspace.quarantine(entity)):
        tidy(path)
    _tell(entity, entry.result["quarantined"], run.workspace.quarantine(entity))
    return entry


def _piece_by_piece(run: Run, entity: str, *, keeps: bool, builds_on_last: bool) -> PhaseEntry:
    """The transform by this machine's processes."""
    extracted = run.expected(run.workspace.extracted(entity), written_by="extract")
    earlier = None
    if builds_on_last and extracted.bytes:
        earlier = LastPass.found(run, entity, settings(run))
    work = _Transforming(run, entity, keeps=keeps, earlier=earlier)
    entry = work.done()
    if entry is None:  # what was counted cannot be told from what the last pass has counted
        entry = replace(work, earlier=None).done()
    assert entry is not None
    return entry


def _by_parts(run: Run, entity: str, parts: Parts, records: int) -> PhaseEntry:
    """The transform by a fleet, which keeps nothing for the next pass."""
    parts.go_on_from(run.begin(PHASE, entity, parts.inputs))
    rules = rules_of(run)
    targets = all_targets(entity, rules)
    numbering = parts.make(names_of(run.manifest, entity, targets), rules, records)
    parts.publish()
    held = _held(run, entity, numbering) if shape_of(entity).numbered else {}
    return _finish(run, entity, parts.inputs, targets, parts.tally, held)


def _held(run: Run, entity: str, numbering: Numbering) -> dict[str, int]:
    """The numbers of sales that are in quarantine only."""
    words = run.config.transformation.status_mapping
    return held_in(run.workspace.quarantine(entity), numbering, words)


def _finish(
    run: Run,
    entity: str,
    inputs: Mapping[str, str],
    targets: Mapping[str, Any],
    counted: Tally,
    held: Mapping[str, int],
) -> PhaseEntry:
    """Record what has become of an entity, whose files are published."""
    files, written = run.workspace, run.manifest.artifacts
    output = written[files.name_of(files.transformed(entity))]
    quarantine = written[files.name_of(files.quarantine(entity))]
    return run.finish(
        PHASE,
        entity,
        inputs=inputs,
        settings=settings(run),
        result={
            "records": output.records,
            "items": output.items,
            "quarantined": quarantine.records,
            "targets": targets,
            "applied": counted.as_json(),
            **({"heldNumbers": held} if held else {}),
        },
    )


@dataclass
class _Transforming:
    """The transform of one entity, built upon the last pass where there is one."""

    run: Run
    entity: str
    keeps: bool
    earlier: LastPass | None

    def done(self) -> PhaseEntry | None:
        """Do it; None when the last pass cannot be built upon, after all."""
        run, entity = self.run, self.entity
        self._source = run.workspace.extracted(entity)
        self._extracted = run.expected(self._source, written_by="extract")
        self._inputs = run.sha_of(self._source)
        begun = {**self._inputs, **(self.earlier.digests if self.earlier else {})}
        place = _Place.of(run.begin(PHASE, entity, begun), run.workspace, entity)
        self._numbers, self._is_numbered = NumbersSoFar(), shape_of(entity).numbered
        rules = rules_of(run)
        self._targets = all_targets(entity, rules)
        self._names = names_of(run.manifest, entity, self._targets)
        self._refused = run.workspace.quarantine(entity)
        with (
            ArtifactWriter(_output(run.workspace, entity), place.output) as output,
            ArtifactWriter(self._refused, place.quarantine) as quarantine,
            Scratch(run.workspace.scratch) as scratch,
        ):
            work = partial(
                transform_piece,
                path=self._source,
                names=self._names,
                rules=rules,
                scratch=scratch,
                earlier=self.earlier.files if self.earlier else None,
            )
            if self._is_numbered:
                self._numbers.read(run, output.partial, output.bytes)
            self._make(work, place, begun, output, quarantine)
            counted = place.tally
            if self.earlier is not None:
                changed = self.earlier.tally.changed_by(place.tally, place.gone)
                if changed is None:
                    return None
                counted = changed
            held = self._publish(output, quarantine, counted)
            return _finish(run, entity, self._inputs, self._targets, counted, held)

    def _make(
        self,
        work: Callable[[ByteRange], Transformed],
        place: _Place,
        begun: Mapping[str, str],
        output: ArtifactWriter,
        quarantine: ArtifactWriter,
    ) -> None:
        """Write what every piece becomes, from a place on, whose tallies become those of all."""
        run, total = self.run, self._extracted.records
        done, errors = output.records + quarantine.records, quarantine.records
        with run.progress.task(PHASE, self.entity, total, done=done, errors=errors) as task:
            tracker = run.track(PHASE, self.entity, begun, total=total, unit="records", done=done)
            pieces = places(self._extracted.bytes, start=place.offset)
            for became in run.runner.in_order(work, pieces):
                start = output.bytes
                output.write(became.data.data, records=became.records, items=became.items)
                if became.numbers is not None:
                    self._numbers.add(ByteRange(start, output.bytes), became.numbers)
                for refusal in became.refusals:
                    quarantine.write(refusal.as_line(), records=1, items=refusal.items)
                    for found in refusal.findings:
                        task.found(found.rule, found.severity, key=found.legacy_id)
                place.tally.add(became.tally)
                place.gone.add(became.gone)
                errors = len(became.refusals)
                task.advance(became.records + errors, errors=errors, bytes=output.bytes - start)
                tracker.reached(
                    output.records + quarantine.records,
                    partial(_state, became.end, output, quarantine, place),
                )

    def _publish(
        self, output: ArtifactWriter, quarantine: ArtifactWriter, counted: Tally
    ) -> dict[str, int]:
        """Publish what was made, and keep it; returns the numbers that are in quarantine only."""
        run, entity = self.run, self.entity
        held: dict[str, int] = {}
        if self._is_numbered:
            with run.progress.task(PHASE, entity, output.records, step="numbering") as step:
                _commit_numbered(run, entity, output, self._numbers, self._refused, quarantine)
                step.advance(output.records)
            held = _held(run, entity, self._numbers.numbering)
        else:
            run.commit(self._refused, quarantine)
            run.commit(run.workspace.transformed(entity), output)
        made = output.partial if self._is_numbered else run.workspace.transformed(entity)
        if self.keeps:
            rows = self._source, self._inputs[run.workspace.name_of(self._source)]
            keeping = LastPass.keeping(run, entity, settings(run))
            keeping.keep({"rows": rows, "items": (made, output.sha256)}, counted.as_json())
        if self._is_numbered:
            with storage_errors(made):
                made.unlink()
        return held


def _output(files: Workspace, entity: str) -> Path:
    """Where the items go while they are made: what is numbered is gone through once more."""
    return files.unnumbered(entity) if shape_of(entity).numbered else files.transformed(entity)


def _commit_numbered(
    run: Run,
    entity: str,
    made: ArtifactWriter,
    numbers: NumbersSoFar,
    refused: Path,
    quarantine: ArtifactWriter,
) -> None:
    """Apply the numbering over all that was made, and publish. Killed or stopped meanwhile, that is
    done again from its beginning."""
    target = run.workspace.transformed(entity)
    made.flush()
    with ArtifactWriter(target) as output:
        write_numbered(run, made.partial, output, numbers)
        output.write(b"", records=made.records, items=made.items)
        run.commit(refused, quarantine)
        run.commit(target, output)


@dataclass(frozen=True)
class _Place:
    """Where a transform is: the offset in its input, and how far its outputs are on disk. What was
    applied up to there is counted, and what of that the last pass had counted and is `gone`."""

    offset: int = 0
    output: PartialState | None = None
    quarantine: PartialState | None = None
    tally: Tally = field(default_factory=Tally)
    gone: Tally = field(default_factory=Tally)

    @classmethod
    def of(cls, saved: Checkpoint | None, files: Workspace, entity: str) -> _Place:
        """The place that a checkpoint describes; the beginning when its files are gone, which
        is so when the run was killed between publishing a file and recording it."""
        if saved is None or "output" not in saved.state:
            return cls()
        output = PartialState(**saved.state["output"])
        quarantine = PartialState(**saved.state["quarantine"])
        if output.fits(_output(files, entity)) and quarantine.fits(files.quarantine(entity)):
            tally, gone = (Tally.of_json(saved.state[name]) for name in ("tally", "gone"))
            return cls(saved.state["offset"], output, quarantine, tally, gone)
        return cls()


def _state(
    offset: int, output: ArtifactWriter, quarantine: ArtifactWriter, place: _Place
) -> dict[str, Any]:
    """Make the outputs durable and describe the place for a checkpoint."""
    return {
        "offset": offset,
        "output": asdict(output.sync()),
        "quarantine": asdict(quarantine.sync()),
        "tally": place.tally.as_json(),
        "gone": place.gone.as_json(),
    }


def _tell(entity: str, refused: int, quarantine: Path) -> None:
    if refused:
        get_logger().warning(
            "%s of the %s cannot be converted and %s in quarantine, with the reasons: %s",
            f"{refused:,}",
            entity,
            "is" if refused == 1 else "are",
            quarantine,
        )
