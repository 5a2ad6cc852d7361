"""The rows of msg_anag: buyers, producers, and a few that are disabled."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

from utils.demo.sample import pools as words
from utils.demo.sample.clock import FIRST_DAY, LAST_DAY, later, local_time
from utils.demo.sample.dirt import Entity, PartyContext, PartyDirt, Planted, Row, copies
from utils.demo.sample.pools import Pools
from utils.demo.sample.schema import MSG_ANAG
from utils.demo.sample.tax_numbers import FOREIGN_VAT, italian_vat, person_code

_COLUMNS = tuple(column.name for column in MSG_ANAG.columns)
_FOREIGN_SHARE = 0.05
_PERSON_SHARE = 0.03


@dataclass(frozen=True)
class PartyRef:
    """What the sales of a party need to know of it."""

    first_id: int
    name: str
    country: str


@dataclass
class Parties:
    """The rows, in key order, and what the sales draw from.

    `usable` are migrated without a finding, `refused` go to quarantine, `disabled` are not
    extracted.
    """

    rows: list[Row] = field(default_factory=list)
    planted: list[Planted] = field(default_factory=list)
    usable: dict[Entity, list[PartyRef]] = field(
        default_factory=lambda: {"buyers": [], "producers": []}
    )
    refused: dict[Entity, list[int]] = field(
        default_factory=lambda: {"buyers": [], "producers": []}
    )
    disabled: dict[Entity, list[int]] = field(
        default_factory=lambda: {"buyers": [], "producers": []}
    )


@dataclass(frozen=True)
class _Role:
    entity: Entity
    dirt: PartyDirt | None = None
    enabled: bool = True


def make_parties(
    pools: Pools,
    rng: random.Random,
    counts: dict[Entity, int],
    disabled: dict[Entity, int],
    kinds: dict[Entity, Sequence[PartyDirt]],
) -> Parties:
    """Make `counts` enabled parties of each entity, the dirty ones among them, and `disabled`
    ones on top, in a mixed order."""
    roles: list[_Role] = []
    for entity, count in counts.items():
        dirty = copies(kinds[entity], count)
        roles += [_Role(entity, dirt) for dirt in dirty]
        roles += [_Role(entity)] * (count - len(dirty))
        roles += [_Role(entity, enabled=False)] * disabled[entity]
    rng.shuffle(roles)
    parties = Parties()
    first_id = 0
    for index, role in enumerate(roles):
        first_id += rng.choice((1, 1, 1, 2, 5))  # gaps, as of parties deleted since
        parties.rows.append(_row(pools, rng, index, first_id, role))
    _soil(pools, rng, parties, roles)
    _sort(parties, roles)
    return parties


def _row(pools: Pools, rng: random.Random, index: int, first_id: int, role: _Role) -> Row:
    row: Row = dict.fromkeys(_COLUMNS)
    row["first_id"], row["enabled"] = first_id, role.enabled
    row["kind"] = 1 if role.entity == "producers" else rng.choice((2, 2, 2, 3))
    row["code"] = f"{'F' if role.entity == 'producers' else 'C'}{first_id:05d}"
    kind = 1.0 if role.dirt else rng.random()  # dirt is put on the row of an Italian company
    if kind < _FOREIGN_SHARE:
        _foreign(row, rng, index)
    else:
        _italian(row, pools, rng, index, person=kind < _FOREIGN_SHARE + _PERSON_SHARE)
    _contacts(row, pools, rng)
    _history(row, rng, full=role.dirt is not None)
    if role.entity == "producers":
        _producer(row, rng)
    else:
        _buyer(row, rng)
    return row


def _italian(row: Row, pools: Pools, rng: random.Random, index: int, *, person: bool) -> None:
    place = rng.choice(pools.places)
    vat_number = italian_vat(index)
    row["name"], row["fiscal_code"] = words.company_name(pools, rng), vat_number
    if person:
        surname, first_name = rng.choice(pools.surnames), rng.choice(pools.first_names)
        born = date(1945, 1, 1) + timedelta(days=rng.randrange(20_000))
        row["name"] = f"{surname} {first_name}"
        row["fiscal_code"] = person_code(surname, first_name, born, index)
    row.update(
        vat_number=f"IT{vat_number}",
        sdi_code="".join(rng.choices("ABCDEFGHJKLMNPQRSTUVWXYZ0123456789", k=7)),
        address=f"{rng.choice(pools.streets)} {rng.randrange(1, 200)}",
        city=place.city,
        province=place.province,
        postal_code=place.postal_code,
        country=rng.choice(("IT", "IT", "IT", None)),
        preferred_language="it",
    )


def _foreign(row: Row, rng: random.Random, index: int) -> None:
    country = rng.choice(tuple(FOREIGN_VAT))
    place = rng.choice(words.ABROAD[country])
    row.update(
        name=rng.choice(words.FOREIGN_COMPANIES[country]),
        vat_number=FOREIGN_VAT[country](index),
        sdi_code="XXXXXXX",
        address=f"{rng.choice(words.FOREIGN_STREETS[country])} {rng.randrange(1, 120)}",
        city=place.city,
        province=place.province,
        postal_code=place.postal_code,
        country=country,
        preferred_language={"FR": "fr", "CH": "en"}.get(country, "de"),
    )


def _contacts(row: Row, pools: Pools, rng: random.Random) -> None:
    label = words.slug(str(row["name"])) or "azienda"
    domain = f"{label}.{rng.choice(words.DOMAINS)}"
    row["email"] = f"{rng.choice(('info', 'ordini', 'acquisti', 'vendite'))}@{domain}"
    row["phone"] = f"0{rng.randrange(10, 99)} 555{rng.randrange(10_000):04d}"
    if row["sdi_code"] != "XXXXXXX":
        row["pec"] = f"{label}@pec.example.com"
    if rng.random() < 0.3:
        row["fax"] = f"0{rng.randrange(10, 99)} 556{rng.randrange(10_000):04d}"
    if rng.random() < 0.4:
        row["website"] = f"https://www.{domain}"
    if rng.random() < 0.5:
        row["main_contact"] = f"{rng.choice(pools.first_names)} {rng.choice(pools.surnames)}"
    if rng.random() < 0.1:
        row["sub_name"] = f"Filiale di {row['city']}"
    if rng.random() < 0.05:
        row["po_box"] = f"C.P. {rng.randrange(1, 999)}"


def _history(row: Row, rng: random.Random, *, full: bool) -> None:
    if rng.random() < 0.3:
        row["notes"] = rng.choice(words.PARTY_NOTES)
    if rng.random() < 0.2:
        row["bank_details"] = f"{rng.choice(words.BANKS)}, filiale di {row['city']}"
    if rng.random() < 0.7:
        row["default_operator"] = rng.choice(tuple(words.USER_MAPPING))
    if not full and rng.random() < 0.03:
        return  # imported before S9 kept times
    created = FIRST_DAY + timedelta(days=rng.randrange((LAST_DAY - FIRST_DAY).days))
    updated = later(rng, created, 900)
    row["created_at"] = local_time(rng, created)
    row["updated_at"] = row["created_at"] if updated == created else local_time(rng, updated)
    row["created_by"] = rng.choice((*words.USER_MAPPING, words.UNMAPPED_USER))
    row["updated_by"] = rng.choice((*words.USER_MAPPING, None))


def _buyer(row: Row, rng: random.Random) -> None:
    row["payment_method"] = rng.choice(words.PAYMENT_METHODS)
    row["payment_terms"] = rng.choice(words.PAYMENT_TERMS)
    row["currency"] = "CHF" if row["country"] == "CH" else rng.choice(("EUR", "EUR", None))
    row["vat_exempt"] = rng.choice(("standard", "standard", "standard", "split_payment", None))
    row["sector"] = rng.choice(words.SECTORS)
    if row["country"] not in ("IT", None):
        row["vat_exempt"] = "exempt"
    if rng.random() < 0.1:
        row["industrial_group"] = rng.choice(words.GROUPS)


def _producer(row: Row, rng: random.Random) -> None:
    row["revenue_percentage"] = f"{rng.randrange(0, 2_001) / 100:.2f}"
    row["production_area"] = rng.choice(words.AREAS)
    row["products"] = ", ".join(rng.sample(words.PRODUCTS, 3))
    row["quantity"] = rng.choice(words.QUANTITIES)
    if rng.random() < 0.6:
        row["quality_assurance"] = rng.choice(words.CERTIFICATES)
        row["materials"] = rng.choice(words.MATERIALS)
        row["markets"] = rng.choice(words.AREAS)
    if rng.random() < 0.5:
        row["standard_products"] = ", ".join(rng.sample(words.STANDARDS, 2))
        row["diameter_range"] = rng.choice(words.DIAMETERS)
        row["max_length"] = f"{rng.randrange(1, 13)} m"


def _soil(pools: Pools, rng: random.Random, parties: Parties, roles: Sequence[_Role]) -> None:
    clean: dict[Entity, list[Row]] = {"buyers": [], "producers": []}
    for row, role in zip(parties.rows, roles, strict=True):
        if role.dirt is None and role.enabled:
            clean[role.entity].append(row)
    before: dict[Entity, list[Row]] = {"buyers": [], "producers": []}
    for index, (row, role) in enumerate(zip(parties.rows, roles, strict=True)):
        if role.dirt is None:
            # An Italian pair: a foreign number on an Italian party would be another dirt.
            if role.enabled and row["country"] in ("IT", None):
                before[role.entity].append(row)
            continue
        # One that was there before where there is one: the later row is the one at fault.
        other = rng.choice(before[role.entity] or clean[role.entity])
        context = PartyContext(rng, index, rng.choice(pools.surnames), other)
        partner = role.dirt.soil(row, context)
        key = str(row["first_id"])
        kind, expectation = role.dirt.key, role.dirt.expectation
        parties.planted.append(Planted(kind, role.entity, key, expectation, partner))


def _sort(parties: Parties, roles: Sequence[_Role]) -> None:
    paired = {planted.partner for planted in parties.planted}
    for row, role in zip(parties.rows, roles, strict=True):
        first_id = row["first_id"]
        assert isinstance(first_id, int)
        expectation = role.dirt.expectation if role.dirt else "clean"
        if not role.enabled:
            parties.disabled[role.entity].append(first_id)
        elif expectation == "refused":
            parties.refused[role.entity].append(first_id)
        elif expectation == "clean" and str(first_id) not in paired:
            name, country = str(row["name"]).strip(), str(row["country"] or "IT").strip()
            ref = PartyRef(first_id, name, {"ITA": "IT", "": "IT"}.get(country, country))
            parties.usable[role.entity].append(ref)
