"""One record through all stations, as far as each can be asked: S9, files, load, target. What one
of them cannot tell hides nothing of the others. Nothing is written and nobody's lock is taken."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import orjson

from utils.differences import RecordDifference
from utils.dynamodb.item_content import Moments
from utils.error_handler import BackOff, MigrationError
from utils.explain.stations import LoadedRecord, Phases, RowNow
from utils.files.artifacts import lines_of
from utils.files.quarantine import Refusal
from utils.findings.shown_records import show_user, shown_value
from utils.findings.source_names import SourceNames
from utils.run.run import Run
from validate.compare.comparison import Comparison
from validate.explain.differences import (
    SHOWN,
    Attributes,
    Since,
    as_in_target,
    items_of,
    since,
)
from validate.explain.explained import Explained
from validate.explain.record_files import InFile, RecordFiles
from validate.explain.record_key import AskedFor, Searched, not_known, several
from validate.explain.stations import Told, stations_of
from validate.explain.target_record import HEAD, TargetLook, TargetRecord, text_of
from validate.explain.verdict import Known, verdict_of

FIRST_LINES = 5  # that are shown

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Heard(Generic[Answer]):
    """What somebody has answered; where nobody has (None), `why`, and what to type (`next`)."""

    answer: Answer | None
    why: str = ""
    next: str = ""


def heard(ask: Callable[[], Answer]) -> Heard[Answer]:
    """What `ask` answers, or why it does not."""
    try:
        return Heard(ask())
    except MigrationError as error:
        return Heard(None, error.message, error.remedy)
    except BackOff as problem:
        return Heard(None, str(problem), "try again")


class Explainer:
    """Explains one record of a run's directory."""

    def __init__(
        self,
        run: Run,
        phases: Phases,
        asked: AskedFor,
        *,
        damaged: str = "",
        moment: str = "",
        apart: MigrationError | None = None,
    ) -> None:
        """`damaged` is why there is no manifest to go by, "" if there is one, or none at all;
        `moment` stands for the migration's own time where nobody knows it. `apart` says why neither
        S9 nor the target is asked, where neither is."""
        self.run = run
        self._phases = phases
        self._asked = asked
        self._shape = asked.shape
        self._entity = asked.shape.name
        self._damaged = damaged
        self._moment = moment
        self._apart = apart
        show_user(run.config.transformation.migration_user)
        self._files = RecordFiles(run, self._entity)
        self._searched: list[Searched] = []
        self._look: Heard[TargetLook] | None = None

    def explain(self) -> Explained:
        """All of it. Raises ConfigurationError for a record that nobody knows, or a number that
        several have; MigrationError when nothing could be told."""
        key, partition_key = self._identify()
        with self.run.progress.task("explain", self._entity, None, step="S9") as _:
            row = self._row(key)
        extracted, transformed = self._extracted(key), self._transformed(key)
        refusals, quarantine = self._files.refusals(
            lambda each: each.legacy_id == str(key), f'"legacyId":"{key}"'
        )
        with self.run.progress.task("explain", self._entity, None, step="the target") as _:
            target = self._target(partition_key)
        loaded = self._loaded(key)
        names = self._names(row)
        now = self._now(row, names)
        lines = transformed.lines if transformed.is_known else None
        comparison = self._comparison(lines, now, loaded, target)
        changed = (
            since(now, transformed.lines)
            if transformed.lines and not isinstance(now, Refusal) and now
            else None
        )
        attributes = self._differences(lines, now, changed, comparison, target, partition_key)
        name = self._name(key, partition_key)
        known = Known(
            self._shape,
            name,
            row.answer,
            now,
            lines,
            refusals,
            loaded.answer,
            target.answer,
            comparison,
            changed,
            attributes.differing,
            self._who(target.answer),
            row.why,
            transformed.why,
            transformed.next,
            target.why,
        )
        self._require_known(known, extracted, key)
        told = Told(
            known,
            key,
            names,
            extracted,
            quarantine,
            self._files.findings(key) if key is not None else [],
            loaded.why,
            loaded.next,
            row.next,
            target.next,
        )
        return Explained(
            self._entity,
            self._asked.text,
            key,
            partition_key,
            self._number(lines, now, target.answer),
            self.run.manifest.run_id if self.run.manifest.begun else "",
            stations_of(told),
            told.findings,
            attributes.found,
            attributes.count,
            attributes.sides,
            verdict_of(known),
        )

    # -- which record ---------------------------------------------------------------------------

    def _identify(self) -> tuple[int | None, str]:
        """S9's key of the record, where it has one, and its partition key."""
        asked = self._asked
        if asked.key is not None:
            return asked.key, asked.partition_key or self._partition_key(asked.key)
        if asked.number is not None:
            key = self._key_of_number(*asked.number)
            return key, self._partition_key(key)
        return self._key_of_id(asked.partition_key), asked.partition_key

    def _partition_key(self, key: int) -> str:
        return self._phases.partition_key(self.run, self._entity, key)

    def _key_of_number(self, number: int, year: int) -> int:
        """The key of the sale with a running number: by the files, which are quick, or by S9."""
        steps: list[tuple[str, Callable[[], list[int] | InFile]]] = [
            ("the transformed file", lambda: self._transformed_with(number, year)),
            ("the extracted file", lambda: self._extracted_with(number, year)),
            (
                "S9",
                self._from_a_server(
                    lambda: self._phases.keys_of_number(self.run, self._entity, number, year)
                ),
            ),
        ]
        for where, look in steps:
            found = heard(look)
            if isinstance(found.answer, InFile):
                self._searched.append(Searched(where, found.answer.why))
            elif found.answer is None:
                self._searched.append(Searched(where, found.why))
            elif len(found.answer) > 1:
                raise several(self._asked, found.answer, where)
            elif found.answer:
                return found.answer[0]
            else:
                self._searched.append(Searched(where, f"none has the number {self._asked.text}"))
        raise not_known(self._asked, self._searched)

    def _transformed_with(self, number: int, year: int) -> list[int] | InFile:
        found = self._files.heads_with(b'"saleNumber":{"N":"%d"}' % number)
        if not found.is_known:
            return found
        keys = []
        for line in found.lines:
            item = orjson.loads(line)["Item"]
            its_year = item.get("year", {}).get("N") or text_of(item, "saleDate")[:4]
            if (item["saleNumber"].get("N"), its_year) == (str(number), str(year)):
                keys.append(int(text_of(item, "legacyId")))
        return keys

    def _extracted_with(self, number: int, year: int) -> list[int] | InFile:
        pattern = re.compile(rb'"sale_number":\s*"?%d"?[,}]' % number)
        found = self._files.rows_with(pattern)
        if not found.is_known:
            return found
        keys = []
        for line in found.lines:
            row = orjson.loads(line)
            its_year = str(row.get("year") or row.get("sale_date") or "")[:4]
            if (str(row.get("sale_number")), its_year) == (str(number), str(year)):
                keys.append(int(row["first_id"]))
        return keys

    def _key_of_id(self, partition_key: str) -> int | None:
        """S9's key of the record with our partition key: it cannot be worked out from the key, so
        it is looked up in the table, in the transformed file and in quarantine."""
        target = self._target(partition_key)
        if target.answer is not None and target.answer.is_migrated:
            return _key_of(text_of(target.answer.head or {}, "legacyId"))
        found = self._files.heads_with(b'"PK":{"S":"%b"},' % partition_key.encode())
        for line in found.lines:
            item = orjson.loads(line)["Item"]
            if text_of(item, "PK") == partition_key:
                return _key_of(text_of(item, "legacyId"))
        refusals, held = self._files.refusals(
            lambda each: each.key == partition_key, f'"PK":"{partition_key}"'
        )
        if refusals:
            return _key_of(refusals[0].legacy_id)
        if target.answer is not None and target.answer.is_there:
            return None  # the application's own
        nothing = "nothing has this id"
        self._searched += [
            Searched("the target", target.why or nothing),
            Searched("the transformed file", found.why or nothing),
            Searched("the quarantine", held.why or nothing),
        ]
        raise not_known(self._asked, self._searched)

    def _require_known(self, known: Known, extracted: InFile, key: int | None) -> None:
        """Raise an error when nobody has anything of the record: one that says so where everybody
        was asked, else one that says who could not be."""
        row = known.row
        has_row = row is not None and (row.line or row.reason)
        if has_row or extracted.lines or known.is_in_file or known.refusals:
            return
        if known.target is not None and known.target.is_there:
            return
        nothing = f"no {self._shape.singular} has the key {key}"
        where = row.table if row else "S9"
        searched = [
            Searched(f"S9 ({where})" if row else where, known.source_why or nothing),
            Searched("the extracted file", extracted.why or nothing),
            Searched("the transformed file", known.file_why or nothing),
            Searched("the target", known.target_why or nothing),
        ]
        if known.source_why and known.target_why and not (extracted.is_known or known.file):
            places = "".join(f"\n  - {each.where}: {each.why}" for each in searched)
            raise MigrationError(
                f"nothing can be told of {known.name}:{places}",
                remedy="make one of them answer, then ask again",
            )
        raise not_known(self._asked, searched, self._found_by_verify(key))

    def _found_by_verify(self, key: int | None) -> list[str]:
        """Under which partition keys the last verification has found what says that it is of this
        key, and is where none of S9's records would be."""
        mark = f'"legacyId":"{key}"'.encode()
        path = self.run.workspace.differences(self._entity)
        lines = lines_of(path) if key is not None and path.exists() else ()
        found = [RecordDifference.of_line(line) for line in lines if mark in line]
        return [
            each.pk for each in found if each.legacy_id == str(key) and isinstance(each.pk, str)
        ]

    # -- the stations ---------------------------------------------------------------------------

    def _row(self, key: int | None) -> Heard[RowNow]:
        if key is None:
            return Heard(RowNow(table="S9", read_at=""))
        return heard(self._from_a_server(lambda: self._phases.row_now(self.run, self._entity, key)))

    def _from_a_server(self, ask: Callable[[], Answer]) -> Callable[[], Answer]:
        """`ask`, unless no server is to be asked."""

        def refuse() -> Answer:
            assert self._apart is not None
            raise self._apart

        return refuse if self._apart else ask

    def _extracted(self, key: int | None) -> InFile:
        return InFile() if key is None else self._files.extracted(key)

    def _transformed(self, key: int | None) -> InFile:
        return InFile() if key is None else self._files.transformed(key)

    def _target(self, partition_key: str) -> Heard[TargetRecord]:
        if self._look is None:
            self._look = heard(
                self._from_a_server(
                    lambda: TargetLook(self.run.config, self._shape, self._moments())
                )
            )
        look = self._look.answer
        if look is None:
            return Heard(None, self._look.why, self._look.next)
        return heard(lambda: look.record(partition_key, FIRST_LINES))

    def _moments(self) -> Moments:
        """As verify has them."""
        loaded = self.run.manifest.phase("load", self._entity)
        times = loaded.result.get("otherTimestamps", []) if loaded else []
        return Moments(self.run.manifest.migration_timestamp, tuple(times))

    def _loaded(self, key: int | None) -> Heard[LoadedRecord]:
        if key is None:
            return Heard(None)
        return heard(lambda: self._kept_of_load(key))

    def _kept_of_load(self, key: int) -> LoadedRecord:
        found = self._phases.loaded(self.run, self._entity, key)
        if found is None:
            raise MigrationError(
                self._damaged or f"nothing is kept of any load of {self._entity} here",
                remedy=self.run.command("status"),
            )
        return found

    def _names(self, row: Heard[RowNow]) -> SourceNames:
        if row.answer is not None and row.answer.names is not None:
            return row.answer.names
        return self._phases.names(self.run, self._entity)

    def _now(self, row: Heard[RowNow], names: SourceNames) -> list[bytes] | Refusal | None:
        """What the row becomes as S9 has it now, lines with their breaks."""
        answer = row.answer
        if answer is None or not answer.line or answer.reason:
            return None
        became = self._phases.become(self.run, answer.line, names)
        return became if isinstance(became, Refusal) else [each + b"\n" for each in became]

    # -- how they stand with each other ---------------------------------------------------------

    def _comparison(
        self,
        file: Sequence[bytes] | None,
        now: list[bytes] | Refusal | None,
        loaded: Heard[LoadedRecord],
        target: Heard[TargetRecord],
    ) -> Comparison | None:
        there, look = target.answer, self._look.answer if self._look else None
        if there is None or look is None:
            return None
        if file:
            marks = loaded.answer.marks if loaded.answer else ()
            return look.judged(file, marks if len(marks) == len(file) else (), there, of_now=False)
        if now and not isinstance(now, Refusal) and there.is_there:
            expected = as_in_target(now, there.head, self._moment)
            return look.judged(expected, (), there, of_now=True)
        return None

    def _differences(
        self,
        file: Sequence[bytes] | None,
        now: list[bytes] | Refusal | None,
        changed: Since | None,
        comparison: Comparison | None,
        target: Heard[TargetRecord],
        partition_key: str,
    ) -> Attributes:
        """The attributes that differ, of the first items that do."""
        keys: dict[str, None] = {}
        if comparison is not None and target.answer is not None and target.answer.is_there:
            found = comparison.keys
            entries: list[Any] = []
            listings = (found.different, found.changed, found.behind)
            for listing in (*listings, found.missing, found.extra, found.kept):
                entries += listing.entries[:SHOWN]
            keys |= dict.fromkeys(map(_sort_key, entries))
        if changed is not None:
            for sort_keys in (changed.different, changed.new, changed.gone):
                keys |= dict.fromkeys(sort_keys[:SHOWN])
        wanted = frozenset([HEAD, *list(keys)[: 2 * SHOWN]])
        in_file = items_of(file or (), wanted.__contains__)
        there = target.answer
        fresh = now if isinstance(now, list) else []
        of_now = items_of(
            as_in_target(fresh, there.head if there else None, self._moment)
            if self._moment
            else fresh,
            wanted.__contains__,
        )
        look = self._look.answer if self._look and there is not None else None
        sides = (isinstance(now, list), bool(file), look is not None)
        attributes = Attributes(self._shape, sides)
        for sort_key in sorted(wanted, key=lambda each: (each != HEAD, each)):
            found_there = self._item(look, there, partition_key, sort_key)
            attributes.add(sort_key, of_now.get(sort_key), in_file.get(sort_key), found_there)
        return attributes

    @staticmethod
    def _item(
        look: TargetLook | None, there: TargetRecord | None, partition_key: str, sort_key: str
    ) -> dict[str, Any] | None:
        if look is None or there is None or not there.is_there:
            return None
        if sort_key == HEAD:
            return there.head
        return heard(lambda: look.item(partition_key, sort_key)).answer

    def _who(self, target: TargetRecord | None) -> str:
        """Whoever has changed the record in the table last, as it may be shown."""
        return shown_value(target.last[1], self._shape.schema, "updatedBy") if target else ""

    def _name(self, key: int | None, partition_key: str) -> str:
        return f"{self._shape.singular} {partition_key if key is None else key}"

    def _number(
        self,
        file: Sequence[bytes] | None,
        now: list[bytes] | Refusal | None,
        target: TargetRecord | None,
    ) -> str:
        """The running number with its year, "" where there is none."""
        if not self._shape.numbered:
            return ""
        head: dict[str, Any] | None = None
        if file:
            head = orjson.loads(file[0])["Item"]
        elif isinstance(now, list) and now:
            head = orjson.loads(now[0])["Item"]
        elif target is not None:
            head = target.head
        if head is None or "saleNumber" not in head:
            return ""
        year = head.get("year", {}).get("N") or text_of(head, "saleDate")[:4]
        return f"{head['saleNumber'].get('N', '')}/{year}"


def _key_of(legacy_id: str) -> int | None:
    return int(legacy_id) if re.fullmatch(r"-?[0-9]{1,18}", legacy_id) else None


def _sort_key(entry: Any) -> str:
    key = getattr(entry, "key", entry)
    return str(key.sk)
