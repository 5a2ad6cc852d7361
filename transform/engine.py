"""The engine that turns an extracted file into a transformed one, record by record.

What it writes is what DynamoDB gets: `{"Item": {…}}` lines in DynamoDB JSON, the body of a
PutRequest byte for byte. Refused records go to quarantine whole.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import orjson

from transform.census.rows import begin_counting, count_record, count_refused, end_counting
from transform.census.tally import Tally
from transform.held_numbers import held_in
from transform.layout import layout_of
from transform.refusals import PHASE, refusal_of_rejected
from transform.rejections import RejectedRecord
from transform.row_to_texts import Texts, all_targets, as_transformed, fast_way_of, texts_of
from transform.rules import Placeholder, TransformRules
from transform.unreadable import refusal_of_unreadable
from transform.values.ids import record_id
from utils.checkpoint import Checkpoint
from utils.config import TransformationConfig
from utils.entities import shape_of
from utils.files.artifacts import ArtifactWriter, PartialState
from utils.files.pieces import ByteRange, places, rows_at
from utils.files.quarantine import Refusal
from utils.files.spill import Scratch
from utils.files.storage import storage_errors
from utils.files.workspace import Workspace
from utils.findings.source_names import SourceNames, names_of
from utils.logger import get_logger
from utils.processes.large_results import Bulk
from utils.run.manifest import PhaseEntry
from utils.run.run import Run, settings_digest
from utils.sale_numbering import NumbersSoFar, PieceNumbers, numbers_in, write_numbered


@dataclass(frozen=True)
class Transformed:
    """What a piece of an extracted file became; `end` is where it ends. Of sales there is also what
    their numbering needs. `tally` is how often what was applied."""

    data: Bulk
    records: int
    items: int
    refusals: tuple[Refusal, ...]
    end: int
    numbers: PieceNumbers | None = None
    tally: Tally = field(default_factory=Tally)


def transform_piece(
    place: ByteRange, path: Path, names: SourceNames, rules: TransformRules, scratch: Path
) -> Transformed:
    """Transform the lines in a piece of an extracted file, in whatever process. `names` are those
    that the columns of the entity have in S9."""
    entity = names.entity
    to_texts = texts_of(entity, rules)
    lines = rows_at(path, place)
    fast = fast_way_of(entity, rules, lines)
    output: list[bytes] = []
    refusals: list[Refusal] = []
    tally = Tally()
    begin_counting(entity, rules)
    for line in lines:
        if (fast_texts := fast.texts(line)) is not None:
            output += fast_texts
            continue
        became = _slowly(line, names, to_texts, rules, tally)
        if isinstance(became, Refusal):
            refusals.append(became)
        else:
            output += became
    fast.count_into(tally)
    end_counting(entity, rules, tally)
    data = b"\n".join([*output, b""])
    return Transformed(
        data=Bulk(data, scratch),
        records=len(lines) - len(refusals),
        items=len(output),
        refusals=tuple(refusals),
        end=place.end,
        numbers=numbers_in(data) if shape_of(entity).numbered else None,
        tally=tally,
    )


def _slowly(
    line: bytes, names: SourceNames, to_texts: Texts, rules: TransformRules, tally: Tally
) -> list[bytes] | Refusal:
    """What a line becomes by way of its row, of which nothing is left after that: a sale may have
    fifty thousand lines."""
    try:
        row = orjson.loads(line)
    except ValueError:
        refusal = refusal_of_unreadable(line, names)
        return replace(refusal, key=partition_key(names, rules, refusal.legacy_id))
    try:
        texts = to_texts(row, rules)
    except RejectedRecord as rejected:
        count_refused(rejected, row, tally)
        return refusal_of_rejected(row, line, rejected, names, partial(partition_key, names, rules))
    count_record(names.entity, rules, *as_transformed(to_texts, row), raw=row, tally=tally)
    return [*map(str.encode, texts)]


def become_of(line: bytes, names: SourceNames, rules: TransformRules) -> list[bytes] | Refusal:
    """What one extracted line becomes: the texts of its items, or why it is refused. Which sales of
    a year are in the index of numbers is decided over all of them (utils/sale_numbering.py), not
    here."""
    begin_counting(names.entity, rules)
    return _slowly(line, names, texts_of(names.entity, rules), rules, Tally())


def partition_key(names: SourceNames, rules: TransformRules, legacy_id: str) -> str:
    """The partition key that a record of S9 would have."""
    shape = shape_of(names.entity)
    if not legacy_id.removeprefix("-").isdecimal():
        return ""
    return shape.prefix + record_id(
        shape.singular, int(legacy_id), rules.generate_ids, rules.id_scope
    )


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


def transform(run: Run, entity: str) -> PhaseEntry:
    """Transform one entity's extracted file; returns the phase's entry in the manifest.

    Raises ArtifactError when the extracted file is not what the extract wrote.
    """
    source = run.workspace.extracted(entity)
    extracted = run.artifact(source, written_by="extract")
    inputs = run.sha_of(source)
    place = _Place.of(run.begin(PHASE, entity, inputs), run.workspace, entity)
    target, refused = _output(run.workspace, entity), run.workspace.quarantine(entity)
    with (
        ArtifactWriter(target, place.output) as output,
        ArtifactWriter(refused, place.quarantine) as quarantine,
        Scratch(run.workspace.scratch) as scratch,
        run.progress.task(
            PHASE,
            entity,
            extracted.records,
            done=output.records + quarantine.records,
            errors=quarantine.records,
        ) as task,
    ):
        done = output.records + quarantine.records
        tracker = run.track(
            PHASE, entity, inputs, total=extracted.records, unit="records", done=done
        )
        rules = rules_of(run)
        targets = all_targets(entity, rules)
        names = names_of(run.manifest, entity, targets)
        work = partial(transform_piece, path=source, names=names, rules=rules, scratch=scratch)
        pieces = places(extracted.bytes, start=place.offset)
        numbers, is_numbered = NumbersSoFar(), shape_of(entity).numbered
        tally = place.tally
        if is_numbered:
            numbers.read(run, output.partial, output.bytes)
        for became in run.runner.in_order(work, pieces):
            start = output.bytes
            output.write(became.data.data, records=became.records, items=became.items)
            if became.numbers is not None:
                numbers.add(ByteRange(start, output.bytes), became.numbers)
            for refusal in became.refusals:
                quarantine.write(refusal.as_line(), records=1, items=refusal.items)
                for found in refusal.findings:
                    task.found(found.rule, found.severity, key=found.legacy_id)
            tally.add(became.tally)
            errors = len(became.refusals)
            task.advance(became.records + errors, errors=errors, bytes=output.bytes - start)
            tracker.reached(
                output.records + quarantine.records,
                partial(_state, became.end, output, quarantine, tally),
            )
        held = {}
        if is_numbered:
            with run.progress.task(PHASE, entity, output.records, step="numbering") as numbering:
                _commit_numbered(run, entity, output, numbers, refused, quarantine)
                numbering.advance(output.records)
            held = held_in(refused, numbers.numbering, run.config.transformation.status_mapping)
        else:
            run.commit(refused, quarantine)
            run.commit(target, output)
    _tell(entity, quarantine.records, refused)
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
            "applied": tally.as_json(),
            **({"heldNumbers": held} if held else {}),
        },
    )


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
    with storage_errors(made.partial):
        made.partial.unlink()


@dataclass(frozen=True)
class _Place:
    """Where a transform is: the offset in its input, and how far its outputs are on disk."""

    offset: int = 0
    output: PartialState | None = None
    quarantine: PartialState | None = None
    tally: Tally = field(default_factory=Tally)

    @classmethod
    def of(cls, saved: Checkpoint | None, files: Workspace, entity: str) -> _Place:
        """The place that a checkpoint describes; the beginning when its files are gone, which
        is so when the run was killed between publishing a file and recording it."""
        if saved is None:
            return cls()
        output = PartialState(**saved.state["output"])
        quarantine = PartialState(**saved.state["quarantine"])
        if output.fits(_output(files, entity)) and quarantine.fits(files.quarantine(entity)):
            return cls(
                saved.state["offset"], output, quarantine, Tally.of_json(saved.state["tally"])
            )
        return cls()


def _state(
    offset: int, output: ArtifactWriter, quarantine: ArtifactWriter, tally: Tally
) -> dict[str, Any]:
    """Make the outputs durable and describe the place for a checkpoint."""
    return {
        "offset": offset,
        "output": asdict(output.sync()),
        "quarantine": asdict(quarantine.sync()),
        "tally": tally.as_json(),
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
