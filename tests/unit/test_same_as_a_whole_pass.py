"""Transform and validate write the same bytes, whatever of the last pass they build upon: seeded
histories of an S9, each pass beside one that knows nothing of another."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.support.records.extracted import run_over
from tests.support.records.rows import buyer_row, line_row, party_copy, producer_row, sale_row
from transform import engine
from transform.pieces import piece
from transform.pieces.beside_earlier import Beside, beside
from utils.earlier.by_key import key_of_items
from utils.files import pieces
from utils.interrupt import Interrupted
from utils.run.run import Run
from validate.gate import record_checks
from validate.rules.catalogue import Note
from validate.rules.record_facts import Facts
from validate.validate_data import validate

Rows = dict[str, list[dict[str, Any]]]
Change = Callable[["History"], None]

HISTORIES, PASSES = 12, 6
SMALL_PIECE = 5_000
PARTIES, SALES = 8, 25


class History:
    """An S9 that lives, by a seed."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.parties = {n: self.party(n) for n in range(1, PARTIES + 1)}
        self.sales = {n: self.sale(n) for n in range(-1, SALES)}
        self.currency = "EUR"
        self.strict = False

    def party(self, key: int) -> dict[str, Any]:
        chance = self.chance
        return {
            "name": chance.choice(("Ferramenta", "Viteria è", "NUL\0", "", None)),
            "code": chance.choice((f"C{key}", f"C{key // 2}", None)),
            "country": chance.choice(("ITA", "IT", "??", None)),
            "pec": chance.choice(("?", "a@pec.example.com", None)),
            "created_by": chance.choice(("mrossi", "gbianchi", None)),
            "created_at": f"2024-0{chance.randint(1, 9)}-01T10:00:00",
        }

    def sale(self, key: int) -> dict[str, Any]:
        chance = self.chance
        lines = [
            line_row(
                key * 10 + place,
                line_number=place,
                product_description=chance.choice(("Vite è", None, "NUL\0 e \t", 'dado "M8"')),
                quantity=chance.choice(("1.500", "0", None)),
                discount_amount=chance.choice(("0.00", "7.77")),
            )
            for place in range(1, 1 + chance.choice((0, 1, 1, 2, 3, 9)))
        ]
        return sale_row(
            first_id=key,
            sale_number=chance.randint(1, 40),
            sale_date=f"202{chance.randint(4, 5)}-{chance.randint(1, 12):02}-10",
            buyer_id=chance.randint(1, PARTIES + 1),
            producer_id=chance.randint(1, PARTIES),
            status=chance.choice(("???", "confermato", "annullata", "pagato", "bozza")),
            doc_type=chance.choice(("invoice", "proforma", None)),
            iva_percentage=chance.choice(("120", "22.00", "22.00", None)),
            notes="x" * chance.choice((0, 0, 1_200)),
            created_by=chance.choice(("mrossi", "import", None)),
            created_at=f"2024-0{chance.randint(1, 9)}-01T10:00:00",
            lines=lines,
        )

    def rows(self) -> Rows:
        """What an extract has now: a sale has a copy of its buyer."""
        parties = self.parties
        return {
            "buyers": [buyer_row(first_id=n, **parties[n]) for n in sorted(parties)],
            "producers": [producer_row(first_id=n, **parties[n]) for n in sorted(parties)],
            "sales": [
                {**sale, "buyer": party_copy(name=parties.get(sale["buyer_id"], {}).get("name"))}
                for _, sale in sorted(self.sales.items())
            ],
        }

    def lives(self) -> None:
        """Something happens, or nothing."""
        for _ in range(self.chance.choice((0, 1, 1, 2, 5))):
            self.chance.choice(self._kinds)(self)

    def _insert(self) -> None:
        key = max(self.sales, default=0) + self.chance.randint(1, 3)
        self.sales[key] = self.sale(key)

    def _update(self) -> None:
        if self.sales:
            key = self.chance.choice([*self.sales])
            self.sales[key] = self.sale(key)

    def _delete(self) -> None:
        if self.sales:
            del self.sales[self.chance.choice([*self.sales])]

    def _rename(self) -> None:
        key = self.chance.choice([*self.parties])
        self.parties[key] = self.party(key)

    def _leave(self) -> None:
        if len(self.parties) > 2:
            del self.parties[self.chance.choice([*self.parties])]

    def _clear(self) -> None:
        if self.chance.random() < 0.1:
            self.sales.clear()

    def _reconfigure(self) -> None:
        if self.chance.random() < 0.3:
            self.currency = self.chance.choice(("EUR", "CHF"))
            self.strict = self.chance.random() < 0.2

    _kinds: tuple[Change, ...] = (
        _insert, _insert, _update, _update, _update, _delete, _rename, _leave, _clear, _reconfigure,
    )  # fmt: skip


@contextmanager
def _run(root: Path, history: History) -> Iterator[Run]:
    with run_over(root, history.rows()) as run:
        config = run.config
        transformation = replace(config.transformation, default_currency=history.currency)
        validation = replace(config.validation, strict_mode=history.strict)
        run.config = replace(config, transformation=transformation, validation=validation)
        yield run


def _outcome(run: Run, *, builds_on_last: bool) -> dict[str, bytes]:
    """The bytes of all that the two phases write, without clocks and run ids."""
    names = ("buyers", "producers", "sales")
    for entity in names:
        engine.transform(run, entity, keeps=True, builds_on_last=builds_on_last)
    files = run.workspace
    first = {entity: files.transformed(entity).read_bytes() for entity in names}
    validate(run, keeps=True, builds_on_last=builds_on_last)
    report = orjson.loads(files.report("validation").read_bytes())
    results = {
        phase: [run.manifest.phases[phase][name].result for name in names]
        for phase in ("transform", "validate")
    }
    return {
        **first,
        **{f"kept {name}": files.transformed(name).read_bytes() for name in names},
        **{f"refused {name}": files.quarantine(name).read_bytes() for name in names},
        "findings": (files.reports / "validation_findings.jsonl").read_bytes(),
        "table": files.findings.read_bytes(),
        "results": orjson.dumps(results),
        "report": orjson.dumps({**report, "runId": "", "at": ""}),
    }


def _cut_short(root: Path, history: History) -> None:
    """A pass that is stopped somewhere, and its files stay as they are."""
    with _run(root, history) as run:
        run.stop.request()
        with pytest.raises(Interrupted):
            _outcome(run, builds_on_last=True)


def _spoil(root: Path, chance: random.Random) -> None:
    """Somebody edits what was kept, or loses some of it."""
    path = chance.choice(sorted((root / "sync").iterdir()))
    data = path.read_bytes()
    place = chance.randrange(len(data)) if data else 0
    what = chance.choice(("edited", "cut", "gone"))
    path.unlink()  # other names of the file stay as they are
    if what == "edited":
        path.write_bytes(data[:place] + b"7" + data[place + 1 :])
    elif what == "cut":
        path.write_bytes(data[:place])


@pytest.mark.parametrize("seed", range(HISTORIES))
def test_every_byte_is_that_of_a_whole_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    assert pieces.places.__kwdefaults__ is not None
    monkeypatch.setitem(pieces.places.__kwdefaults__, "target", SMALL_PIECE)
    history = History(seed)
    for number in range(PASSES):
        if number and history.chance.random() < 0.2:
            _spoil(tmp_path / "kept", history.chance)
        is_cut_short = history.chance.random() < 0.4
        if is_cut_short:
            _cut_short(tmp_path / "kept", history)
        with _run(tmp_path / "kept", history) as run:
            run.resuming = is_cut_short
            built_upon = _outcome(run, builds_on_last=True)
        with _run(tmp_path / f"whole {number}", history) as run:
            whole = _outcome(run, builds_on_last=False)
        assert built_upon == whole, number
        history.lives()


def test_only_what_has_changed_is_transformed_and_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that the histories hold something to account."""
    found: list[Beside] = []
    judged: set[int | None] = set()

    def seen(*arguments: Any) -> Beside:
        found.append(beside(*arguments))
        return found[-1]

    def judge_of(entity: str, *, are_sound: bool) -> record_checks.Judge:
        judge = real_judge_of(entity, are_sound=are_sound)

        def judging(record: Sequence[bytes], notes: list[Note], business: bool) -> Facts:
            facts = judge(record, notes, business)
            if entity == "sales" and not notes:
                judged.add(key_of_items(record[0]))
            return facts

        return judging

    real_judge_of = record_checks.judge_of
    history = History(7)
    history.parties = {n: {"name": f"Ferramenta {n}"} for n in range(1, PARTIES + 1)}
    history.sales = {n: _clean(n) for n in range(1, 200)}
    with _run(tmp_path, history) as run:
        _outcome(run, builds_on_last=True)
    assert pieces.places.__kwdefaults__ is not None
    monkeypatch.setitem(pieces.places.__kwdefaults__, "target", SMALL_PIECE)
    monkeypatch.setattr(piece, "beside", seen)
    monkeypatch.setattr(record_checks, "judge_of", judge_of)
    history.sales[150] = {**_clean(150), "notes": "otherwise"}
    with _run(tmp_path, history) as run:
        _outcome(run, builds_on_last=True)
    assert len(found) > 20
    (gone,) = (line for each in found for line in each.gone)
    assert orjson.loads(gone)["first_id"] == 150
    assert judged == {150}


def _clean(key: int) -> dict[str, Any]:
    line = line_row(key, product_description="Vite")
    return sale_row(first_id=key, sale_number=key, buyer_id=1, producer_id=1, lines=[line])
