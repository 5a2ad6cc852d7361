"""The words that the sample data are made of, drawn from Faker once and combined afterwards.

A call of Faker takes tens of microseconds, a choice from a pool well under one. All addresses on
the internet are under domains reserved for examples (RFC 2606).
"""

from __future__ import annotations

import random
import re
import unicodedata
from dataclasses import dataclass

from utils.embedded.wheels import missing_wheel

DOMAINS = ("example.com", "example.net", "example.org")

# The S9 users of the sample data and who they are in the Sale Module: what
# transformation.userMapping of the demonstration is set to.
USER_MAPPING = {
    "mrossi": "maria.rossi@example.com",
    "gbianchi": "giorgio.bianchi@example.com",
    "lverdi": "lucia.verdi@example.com",
    "acolombo": "andrea.colombo@example.com",
}
UNMAPPED_USER = "import"


@dataclass(frozen=True)
class Place:
    """A town: what an address of a party in it says."""

    postal_code: str
    city: str
    province: str | None
    country: str


@dataclass(frozen=True)
class Pools:
    """The pools. `places` are Italian, `abroad` by country code."""

    surnames: tuple[str, ...]
    first_names: tuple[str, ...]
    streets: tuple[str, ...]
    places: tuple[Place, ...]


ABROAD: dict[str, tuple[Place, ...]] = {
    "DE": (
        Place("80331", "München", "BY", "DE"),
        Place("70173", "Stuttgart", "BW", "DE"),
        Place("50667", "Köln", "NW", "DE"),
    ),
    "AT": (
        Place("1010", "Wien", None, "AT"),
        Place("6020", "Innsbruck", None, "AT"),
        Place("8010", "Graz", None, "AT"),
    ),
    "FR": (
        Place("69001", "Lyon", None, "FR"),
        Place("06000", "Nice", None, "FR"),
        Place("38000", "Grenoble", None, "FR"),
    ),
    "CH": (
        Place("6900", "Lugano", "TI", "CH"),
        Place("8001", "Zürich", "ZH", "CH"),
        Place("4051", "Basel", "BS", "CH"),
    ),
}

FOREIGN_STREETS = {
    "DE": ("Hauptstraße", "Bahnhofstraße", "Gartenweg"),
    "AT": ("Hauptstraße", "Kirchengasse", "Mühlweg"),
    "FR": ("rue de la Gare", "avenue des Érables", "rue du Moulin"),
    "CH": ("Via Cantonale", "Bahnhofstrasse", "Seeweg"),
}
FOREIGN_COMPANIES = {
    "DE": ("Müller Rohrtechnik GmbH", "Schwäbische Stahlbau GmbH", "Nordwerk Armaturen AG"),
    "AT": ("Alpen Stahlhandel GmbH", "Tiroler Verbindungstechnik GmbH", "Grazer Metall KG"),
    "FR": ("Établissements Lefèvre SARL", "Aciéries du Rhône SAS", "Visserie Côte d'Azur SA"),
    "CH": ("Ticino Metalli SA", "Zürcher Präzisionsteile AG", "Basler Industriebedarf AG"),
}

COMPANY_KINDS = (
    "Officine {a}",
    "Fratelli {a}",
    "{a} & {b}",
    "Industrie {a}",
    "Meccanica {a}",
    "Costruzioni {a}",
    "Bulloneria {a}",
    "Impianti {a} e {b}",
    "Acciai {a}",
    "{a} Forniture",
    "Nuova {a}",
    "Carpenteria {a}",
)
COMPANY_FORMS = ("S.r.l.", "S.p.A.", "S.n.c.", "S.a.s.", "SRL", "SPA")
SECTORS = (
    "construction",
    "mining",
    "oil_gas",
    "energy",
    "manufacturing",
    "food_beverage",
    "agriculture",
    "chemicals",
    "pharmaceuticals",
    "technology",
    "transport",
    "other",
)
PAYMENT_METHODS = ("bonifico", "riba", "rimessa diretta", "assegno", "carta di credito")
PAYMENT_TERMS = ("30 gg d.f.", "60 gg d.f.f.m.", "90 gg d.f.", "anticipato", "vista fattura")
DELIVERY_METHODS = ("franco fabbrica", "porto franco", "porto assegnato", "corriere", "ritiro")
PACKAGES = ("bancale", "cassa di legno", "scatole", "fascio", "3 colli su bancale EUR")
GROUPS = ("Gruppo Nord Acciai", "Gruppo Adriatica", "Gruppo Meccanica Padana")
BANKS = ("Banca di Esempio", "Credito Campione", "Cassa Rurale d'Esempio")
AREAS = ("Italia", "Nord Italia", "Europa", "Lombardia e Veneto", "Asia")
CERTIFICATES = ("ISO 9001", "ISO 9001, ISO 14001", "IATF 16949", "EN 15048-1, CE")
MATERIALS = ("acciaio al carbonio", "acciaio inox A2, A4", "ottone", "leghe di nichel", "S235JR")
PRODUCTS = ("viti", "bulloni", "tiranti", "rondelle", "dadi", "barre filettate", "prigionieri")
STANDARDS = ("DIN 933", "ISO 4014", "UNI 5737", "ASTM A193 B7", "EN 14399-3")
DIAMETERS = ("M3-M24", "M6-M64", "da M12 a M100", '1/4"-2"')
QUANTITIES = ("any", "small", "medium", "large")
ARTICLES = (
    "Vite TE {standard} M{size}x{length} zincata",
    "Dado esagonale M{size} inox A2",
    "Barra filettata M{size} L={length} mm",
    "Tirante {standard} Ø {size} mm",
    "Rondella piana M{size}, conf. 100 pz",
    "Bullone HV M{size}x{length} cl. 10.9",
    "Lavorazione a disegno n. {length}",
    "Trasporto e imballo",
)
UNITS = ("pz", "kg", "m", "conf", "NR", None)
SALE_NOTES = (
    "Consegna entro le ore 12.",
    "Merce in conto lavorazione.",
    "Vs. ordine telefonico.",
    "Contributo CONAI assolto ove dovuto.",
    "Scarico a carico del destinatario.",
)
INTERNAL_NOTES = (
    "Verificare il fido prima della spedizione",
    "cliente da richiamare",
    "prezzo concordato con l'agente",
)
PARTY_NOTES = ("Cliente storico", "Chiuso ad agosto", "Preferisce essere contattato per e-mail")


def draw_pools(seed: int) -> Pools:
    """Draw the pools; the same seed (and version of Faker) gives the same words.

    Raises ConfigurationError when Faker is not installed.
    """
    try:
        # Only here: without it, the words above can still be listed.
        from faker import Faker  # noqa: PLC0415
    except ImportError as error:
        raise missing_wheel("Faker") from error
    fake = Faker("it_IT")
    fake.seed_instance(seed)
    return Pools(
        surnames=tuple(fake.last_name() for _ in range(300)),
        first_names=tuple(fake.first_name_male() for _ in range(80)),
        streets=tuple(fake.street_name() for _ in range(300)),
        places=tuple(_place(fake.postcode_city_province()) for _ in range(300)),
    )


def _place(text: str) -> Place:
    match = re.fullmatch(r"(\d{5}), (.+) \((\w+)\)", text)
    assert match is not None, "Faker writes a place as: 34018, Trieste (TS)"
    return Place(match[1], match[2], match[3], "IT")


def company_name(pools: Pools, rng: random.Random) -> str:
    """The name of an Italian company that does not exist."""
    kind = rng.choice(COMPANY_KINDS)
    name = kind.format(a=rng.choice(pools.surnames), b=rng.choice(pools.surnames))
    return f"{name} {rng.choice(COMPANY_FORMS)}"


def slug(text: str) -> str:
    """A text as a label of a domain: lower-case ASCII letters, digits and hyphens."""
    ascii_text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", ascii_text.lower()).strip("-")[:40].rstrip("-")
