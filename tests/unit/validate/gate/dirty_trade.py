"""A data directory as a transform leaves it, with about everything wrong that the gate looks for:
by a seed, always the same."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import orjson

from tests.support.records.items import (
    VALID_VAT_NUMBERS,
    Item,
    as_written,
    identifier,
    numbers,
    party,
    sale_record,
    texts,
)
from utils.config import Config
from utils.files.artifacts import ArtifactWriter, utc_now
from utils.files.findings import Finding
from utils.files.quarantine import Refusal
from utils.files.workspace import Workspace
from utils.run.manifest import Manifest, PhaseEntry
from utils.run.run import COMPLETE, Run
from utils.telemetry.tasks import Tasks

PARTIES, SALES = 14, 60
_UNKNOWN, _PLACEHOLDER = 900, 0
_TARGETS = {
    "buyers": {"first_id": "legacyId,buyerId", "name": "companyName", "code": "code"},
    "producers": {"first_id": "legacyId,producerId", "name": "companyName", "code": "code"},
    "sales": {
        **{"sales": {"first_id": "legacyId,saleId", "buyer_id": "buyerId"}},
        **{"buyer": {"name": "buyerName", "country": "buyerCountry"}},
        **{"producer": {"name": "producerName", "country": "producerCountry"}},
    },
}


@dataclass(frozen=True)
class _Kept:
    """A record, and the row that it was."""

    row: dict[str, Any]
    items: list[Item]


class DirtyTrade:
    """Parties and sales by a seed, how the gate is set, and in which order it is asked."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        self.refused = {
            kind: [key for key in range(1, PARTIES) if self._happens(0.15)]
            for kind in ("buyer", "producer")
        }
        self.records = {
            "buyers": self._parties("buyer"),
            "producers": self._parties("producer"),
            "sales": self._sales(),
        }
        chance = self._chance
        self.settings = {
            "validate_references": self._happens(0.85),
            "check_duplicates": self._happens(0.85),
            "business_rules": self._happens(0.85),
            "strict_mode": self._happens(0.2),
        }
        self.goes_on = self._happens(0.6)
        every = ("buyers", "producers", "sales")
        self.entities = chance.choice((every, every, every, ("sales",), ("buyers", "sales")))

    def _happens(self, share: float) -> bool:
        return self._chance.random() < share

    def _parties(self, kind: str) -> list[_Kept]:
        chance, found = self._chance, []
        for key in range(1, PARTIES):
            if key in self.refused[kind]:
                continue
            changes: dict[str, str | None] = {}
            if self._happens(0.2):
                changes["code"] = f"C{chance.randint(1, 3)}\t"
            if self._happens(0.2):
                changes["vatNumber"] = chance.choice(VALID_VAT_NUMBERS)
            if self._happens(0.2):
                changes["email"] = "nobody"
            if self._happens(0.15):
                changes["city"] = None
            if self._happens(0.1):
                changes |= {"address": None, "province": None}
            found.append(_Kept({"first_id": key}, [party(kind, key, **changes)]))
        return self._with_twins(found)

    def _with_twins(self, found: list[_Kept]) -> list[_Kept]:
        """Some records come twice: beside each other, or at the end."""
        beside = [each for one in found for each in [one] * (1 + self._happens(0.06))]
        return beside + [one for one in found if self._happens(0.04)]

    def _sales(self) -> list[_Kept]:
        return self._with_twins([self._sale(key) for key in range(1, SALES)])

    def _sale(self, key: int) -> _Kept:
        chance = self._chance
        buyer, producer = (
            chance.choice((*[chance.randint(1, PARTIES - 1)] * 6, _UNKNOWN, _PLACEHOLDER))
            for _ in range(2)
        )
        items = sale_record(key, lines=chance.choice((0, 1, 1, 2, 5)))
        head = items[0]
        head |= texts(
            buyerId=identifier("buyer", buyer),
            producerId=identifier("producer", producer),
            GSI2PK=f"BUYER#{identifier('buyer', buyer)}",
            GSI3PK=f"PRODUCER#{identifier('producer', producer)}",
        )
        for share, spoil in (
            (0.1, numbers(saleNumber=str(chance.randint(1, 9)))),
            (0.05, numbers(year="2023")),
            (0.05, numbers(total="1.5")),
            (0.05, texts(status="nothing", currency="euro")),
            (0.05, numbers(saleNumber="9" * 17)),
            (0.1, texts(buyerName="FERRAMENTA\tROSSI\n", notes=" x ")),
            (0.05, texts(docType="proforma")),
        ):
            if self._happens(share):
                head |= spoil
        for name in ("GSI4PK", "GSI4SK"):
            if self._happens(0.04):
                head.pop(name)
        if self._happens(0.06):
            head.pop(chance.choice(("saleDate", "buyerId", "currency", "legacyId")))
        row: dict[str, Any] = {"first_id": key, "buyer_id": buyer, "producer_id": producer}
        for kind in ("buyer", "producer"):
            enabled = chance.choice((True, "false", None))
            row[kind] = chance.choice((None, {"name": "Rossi", "enabled": enabled}))
        return _Kept(row, items)

    def write(self, root: Path) -> Workspace:
        """Write the directory."""
        files = Workspace(root)
        files.prepare()
        manifest = Manifest.new()
        manifest.migration_timestamp = "2026-01-01T00:00:00.000Z"
        run = Run(Config(), files, manifest, Tasks())
        for entity, records in self.records.items():
            kind = entity.removesuffix("s")
            refused = self.refused.get(kind, [])
            rows = [each.row for each in records] + [{"first_id": key} for key in refused]
            _publish(run, files.extracted(entity), [orjson.dumps(row) + b"\n" for row in rows])
            made = [b"".join(as_written(each.items)) for each in records]
            items = sum(len(each.items) for each in records)
            _publish(run, files.transformed(entity), made, items)
            lines = [_refusal(entity, kind, key).as_line() for key in refused]
            _publish(run, files.quarantine(entity), lines)
            table = {"notSelected": {"disabled": 3, "of nobody": 2}}
            for phase, result in (
                ("extract", {"table": table}),
                ("transform", {"targets": _TARGETS[entity]}),
            ):
                entry = PhaseEntry(COMPLETE, utc_now(), result=result)
                manifest.record(phase, entity, entry)
        run.save()
        return files

    @contextmanager
    def run(self, root: Path, *, processes: int = 1, **engine: Any) -> Iterator[Run]:
        """A run over the directory, as the gate is set."""
        manifest = Manifest.load(root / "manifest.json")
        assert manifest is not None
        config = Config()
        config = replace(
            config,
            migration=replace(
                config.migration, processes=processes, continue_on_error=self.goes_on
            ),
            validation=replace(config.validation, **self.settings),
            engine=replace(config.engine, **engine),
            checkpoint=replace(config.checkpoint, interval=1),
        )
        run = Run(config, Workspace(root), manifest, Tasks())
        with run.workers:
            yield run


def _publish(run: Run, path: Path, records: Sequence[bytes], items: int | None = None) -> None:
    with ArtifactWriter(path) as writer:
        for record in records:
            writer.write(record, records=1, items=0)
        writer.write(b"", records=0, items=len(records) if items is None else items)
        run.publish(path, writer.commit())


def _refusal(entity: str, kind: str, key: int) -> Refusal:
    finding = Finding(entity, str(key), "status", "unknown-status", "error", "unknown")
    row = orjson.dumps({"first_id": key})
    identity = f"{kind.upper()}#{identifier(kind, key)}"
    return Refusal(entity, str(key), "transform", (finding,), 1, row, identity)


def told_by(run: Run, result: Any) -> Mapping[str, bytes]:
    """The bytes of all that a gate leaves, without clocks and run ids."""
    files, names = run.workspace, ("buyers", "producers", "sales")
    report = orjson.loads(files.report("validation").read_bytes())
    phases = run.manifest.phases["validate"]
    return {
        **{f"kept {name}": files.transformed(name).read_bytes() for name in names},
        **{f"refused {name}": files.quarantine(name).read_bytes() for name in names},
        "findings": files.validation_findings.read_bytes(),
        "table": files.findings.read_bytes(),
        "report": orjson.dumps({**report, "runId": "", "at": "", "tool": ""}),
        "verdict": repr(
            (result.passed, result.error_count, result.warning_count, result.quarantined)
        ).encode(),
        "manifest": repr(
            [
                {name: (e.status, e.inputs, e.settings, e.result) for name, e in phases.items()},
                {n: {**vars(e), "written_at": ""} for n, e in run.manifest.artifacts.items()},
            ]
        ).encode(),
    }
