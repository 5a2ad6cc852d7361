"""How a run stands by its manifest: what arrived, what did not, and what is known of it.

The exit code and the last line are both made of this, so that they cannot disagree.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from utils.entities import ENTITY_NAMES
from utils.run.manifest import Manifest
from utils.run.run import COMPLETE


@dataclass(frozen=True)
class RunStanding:
    """The standing of one run.

    `refused` are records in quarantine. `kept` are items that stay as the tables have them,
    `absent` those of them that are in no table. `verified` are the entities of which verify has
    found in the target what was loaded, with the files that there are now. `written` are items
    that the run has put into the tables, `strange` what it knows to be in the tables and not to
    be of this migration. `held` are, by year, the highest numbers of sales, where these are in
    quarantine (utils/sale_numbering.py). The others are what verify found; `behind` is
    what S9 has changed since the load, `wrong_numbers` are the
    next numbers of sales among the `other_problems`.
    """

    refused: int
    kept: int
    absent: int
    verified: tuple[str, ...]
    written: int
    strange: int
    missing: int
    different: int
    changed: int
    behind: int
    other_problems: int
    only_in_target: Mapping[str, Mapping[str, int]]
    held: Mapping[str, int]
    wrong_numbers: int

    @property
    def all_verified(self) -> bool:
        return len(self.verified) == len(ENTITY_NAMES)

    @property
    def is_held_back(self) -> bool:
        """Whether something of S9 is in no table, by intention."""
        return self.refused > 0 or self.absent > 0


@dataclass(frozen=True, kw_only=True)
class Stations:
    """The figures of an entity at each station from S9's table to the target, None where the run
    has not been: `rows` of the table, of which so many are `not_selected` by reason; records that
    S9 says it has (`selected`), `extracted`, in quarantine (`quarantined`) and `transformed`;
    `items` and `bytes` of the transformed file; `errors` and `warnings` of the gate; items
    `loaded`, `kept` as the table has them (or left out), and `found` there."""

    rows: int | None
    not_selected: Mapping[str, int]
    selected: int | None
    extracted: int | None
    quarantined: int | None
    transformed: int | None
    items: int | None
    bytes: int | None
    errors: int | None
    warnings: int | None
    loaded: int | None
    kept: int | None
    found: int | None


def stations_of(manifest: Manifest, entity: str) -> Stations:
    """How an entity stands at each station, by the manifest of the run."""

    def result(phase: str) -> Mapping[str, Any]:
        entry = manifest.phase(phase, entity)
        return entry.result if entry else {}

    def records(kind: str) -> int | None:
        entry = manifest.artifacts.get(f"{kind}/{entity}.json")
        return entry.records if entry else None

    table = result("extract").get("table") or {}
    transformed = manifest.artifacts.get(f"transformed/{entity}.json")
    return Stations(
        rows=table.get("rows"),
        not_selected=table.get("notSelected", {}),
        selected=result("extract").get("source", {}).get("records"),
        extracted=records("extracted"),
        quarantined=records("quarantine"),
        transformed=records("transformed"),
        items=transformed.items if transformed else None,
        bytes=transformed.bytes if transformed else None,
        errors=result("validate").get("errors"),
        warnings=result("validate").get("warnings"),
        loaded=result("load").get("items"),
        kept=result("load").get("kept"),
        found=result("verify").get("items"),
    )


def standing_of(manifest: Manifest) -> RunStanding:
    """The standing of the run that a manifest is of."""
    load, verify = (_results(manifest, phase) for phase in ("load", "verify"))
    found: Counter[str] = Counter()
    for result in verify.values():
        found.update({name: n for name, n in result.items() if isinstance(n, int)})
    kept, already = _sum(load, "kept"), _sum(load, "alreadyThere")
    absent = max(_sum(load, "keptAbsent"), found["keptAbsent"])
    there_before = sum(int(taken[-1].get("items") or 0) for taken in manifest.backups.values())
    own = already + _sum(load, "replaced") + kept - absent
    strange = found["foreign"] + found["changedSince"] if verify else max(0, there_before - own)
    return RunStanding(
        refused=sum(
            entry.records
            for name, entry in manifest.artifacts.items()
            if name.startswith("quarantine/")
        ),
        kept=kept,
        absent=absent,
        verified=tuple(name for name in ENTITY_NAMES if _is_verified(manifest, name)),
        written=max(0, _sum(load, "items") - already),
        strange=strange,
        missing=found["missing"],
        different=found["different"],
        changed=found["changedSince"],
        behind=found["changedInSource"],
        other_problems=found["otherProblems"],
        only_in_target={
            name: over for name, result in verify.items() if (over := result.get("onlyInTarget"))
        },
        held=_held(*(_results(manifest, phase) for phase in ("transform", "validate")), load),
        wrong_numbers=found["wrongNumbers"],
    )


def _held(*phases: Mapping[str, Mapping[str, Any]]) -> dict[str, int]:
    held: dict[str, int] = {}
    for result in (result for results in phases for result in results.values()):
        for year, number in result.get("heldNumbers", {}).items():
            held[year] = max(number, held.get(year, number))
    return held


def _results(manifest: Manifest, phase: str) -> dict[str, dict[str, Any]]:
    return {name: entry.result for name, entry in manifest.phases.get(phase, {}).items()}


def _sum(results: Mapping[str, Mapping[str, Any]], name: str) -> int:
    return sum(int(result.get(name) or 0) for result in results.values())


def _is_verified(manifest: Manifest, entity: str) -> bool:
    """Whether what there is now of an entity was verified, and all of it was right."""
    entry = manifest.phase("verify", entity)
    name = f"transformed/{entity}.json"
    return (
        entry is not None
        and entry.status == COMPLETE
        and entry.inputs.get(name) == manifest.sha_of(name)
    )
