"""The catalogue of dirty buyers and producers."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

from utils.demo.sample.clock import AUTUMN_SUNDAYS, SPRING_SUNDAYS
from utils.demo.sample.dirt import Entity, PartyContext, PartyDirt, Row
from utils.demo.sample.pools import ABROAD, FOREIGN_COMPANIES, FOREIGN_STREETS
from utils.demo.sample.tax_numbers import german_vat, italian_vat, person_code, swiss_vat

# Indexes of the planted numbers: apart from those of the clean rows, so that none comes twice.
_APART = 2_500_000
_OPTIONAL_TEXTS = (
    *("sub_name", "sdi_code", "pec", "po_box", "fax", "website", "main_contact", "notes"),
    *("bank_details", "preferred_language", "default_operator", "payment_terms", "currency"),
    *("vat_exempt", "industrial_group", "sector", "created_by", "updated_by", "country"),
)


def double_decoded(text: str) -> str:
    """UTF-8 that was read as Latin-1 and stored: `Società` becomes `SocietÃ` and a blank."""
    return text.encode("utf-8").decode("latin-1")


def _blank_strings(row: Row, _context: PartyContext) -> None:
    for number, column in enumerate(_OPTIONAL_TEXTS):
        row[column] = "" if number % 2 else "  "


def _padded_text(row: Row, _context: PartyContext) -> None:
    for column in ("name", "address", "city", "postal_code", "vat_number", "fiscal_code", "email"):
        row[column] = f" {row[column]}  "


def _upper_case_accents(row: Row, context: PartyContext) -> None:
    row["name"] = f"L'ACCIAIERIA DELL'ALTA QUALITÀ DI {context.surname.upper()} - SOCIETÀ COOP."


def _vat_without_prefix(row: Row, context: PartyContext) -> None:
    row["vat_number"] = italian_vat(_APART + context.index)
    row["fiscal_code"] = row["vat_number"]


def _abroad(row: Row, context: PartyContext, country: str, vat_number: str) -> None:
    place = context.rng.choice(ABROAD[country])
    row.update(
        name=context.rng.choice(FOREIGN_COMPANIES[country]),
        vat_number=vat_number,
        fiscal_code=None,
        sdi_code="XXXXXXX",  # what Italian invoices to foreign customers carry
        address=f"{context.rng.choice(FOREIGN_STREETS[country])} {context.index % 90 + 1}",
        city=place.city,
        province=place.province,
        postal_code=place.postal_code,
        country=country,
    )


def _swiss(row: Row, context: PartyContext) -> None:
    _abroad(row, context, "CH", swiss_vat(_APART + context.index))


def _german(row: Row, context: PartyContext) -> None:
    _abroad(row, context, "DE", german_vat(_APART + context.index))


def _control_characters(row: Row, _context: PartyContext) -> None:
    row["notes"] = "Orari:\tlun-ven\r\n8-12 / 14-18\nchiedere del magazzino 🚚"


def _clock_gap(row: Row, context: PartyContext) -> None:
    row["created_at"] = f"{context.rng.choice(SPRING_SUNDAYS)} 02:30:00"


def _repeated_hour(row: Row, context: PartyContext) -> None:
    row["created_at"] = f"{context.rng.choice(AUTUMN_SUNDAYS)} 02:30:00"


def _alpha_3_country(row: Row, _context: PartyContext) -> None:
    row["country"] = "ITA"


def _phone_with_slashes(row: Row, context: PartyContext) -> None:
    row["phone"] = f"030/555{context.index % 10_000:04d} - 030/5550001"


def _tax_code_in_vat_column(row: Row, context: PartyContext) -> None:
    born = date(1950 + context.index % 45, 1 + context.index % 12, 1 + context.index % 28)
    row["name"] = f"{context.surname} Marco"
    row["vat_number"] = person_code(context.surname, "Marco", born, context.index)
    row["fiscal_code"] = None


def _several_emails(row: Row, _context: PartyContext) -> None:
    domain = str(row["email"]).partition("@")[2]
    row["email"] = f"vendite@{domain};amministrazione@{domain}; magazzino@{domain}"


def _double_decoded(row: Row, context: PartyContext) -> None:
    row["name"] = double_decoded(f"Società Agricola {context.surname} & C. Però")


def _shared_vat_number(row: Row, context: PartyContext) -> str:
    row["vat_number"], row["fiscal_code"] = context.other["vat_number"], None
    row["country"] = context.other["country"]
    return str(context.other["first_id"])


def _bad_vat_checksum(row: Row, context: PartyContext) -> None:
    right = italian_vat(_APART + context.index)
    row["vat_number"] = f"IT{right[:-1]}{(int(right[-1]) + 3) % 10}"
    row["fiscal_code"] = None
    row["country"] = "IT"


def _bad_fiscal_code(row: Row, context: PartyContext) -> None:
    right = person_code(context.surname, "Luca", date(1961, 5, 17), context.index)
    row["fiscal_code"] = right[:-1] + chr(ord("A") + (ord(right[-1]) - ord("A") + 1) % 26)
    row["country"] = "IT"


def _blank_name(row: Row, context: PartyContext) -> None:
    row["name"] = "   " if context.index % 2 else None


def _unknown_country(row: Row, context: PartyContext) -> None:
    row["country"] = "ZZ" if context.index % 2 else "XQ1"


def _city_too_long(row: Row, _context: PartyContext) -> None:
    row["city"] = "Frazione " + "San Giovanni in Persiceto sul Monte " * 3 + str(row["city"])


def _timestamp_year_1(row: Row, _context: PartyContext) -> None:
    row["created_at"] = "0001-01-01 00:00:00"


def _timestamp_infinity(row: Row, context: PartyContext) -> None:
    row["updated_at"] = "infinity" if context.index % 2 else "-infinity"


def _revenue_outside(row: Row, context: PartyContext) -> None:
    row["revenue_percentage"] = "100.01" if context.index % 2 else "-5.00"


Soil = Callable[[Row, PartyContext], str | None]


def _kinds(entity: Entity) -> dict[str, PartyDirt]:
    def clean(key: str, soil: Soil, what: str) -> PartyDirt:
        return PartyDirt(key, what, entity, "clean", soil=soil)

    def warning(key: str, soil: Soil, what: str) -> PartyDirt:
        return PartyDirt(key, what, entity, "warning", soil=soil)

    def refused(key: str, soil: Soil, what: str) -> PartyDirt:
        return PartyDirt(key, what, entity, "refused", 2, soil=soil)

    kinds = (
        clean("blank-strings", _blank_strings, "blank strings where NULL is meant"),
        clean("padded-text", _padded_text, "padding blanks around every text"),
        clean("upper-case-accents", _upper_case_accents, "capitals, accents and apostrophes"),
        clean("vat-without-prefix", _vat_without_prefix, "VAT number without IT"),
        clean("swiss-party", _swiss, "a Swiss party with a valid VAT number"),
        clean("german-party", _german, "a German party with a valid VAT number"),
        clean("control-characters", _control_characters, "notes with tab, line breaks, emoji"),
        clean("timestamp-in-clock-gap", _clock_gap, "created in an hour that does not exist"),
        clean("timestamp-in-repeated-hour", _repeated_hour, "created in an hour that came twice"),
        clean("alpha-3-country", _alpha_3_country, "country ITA instead of IT"),
        clean("phone-with-slashes", _phone_with_slashes, "two phone numbers, with slashes"),
        warning("tax-code-in-vat-column", _tax_code_in_vat_column, "tax code as VAT number"),
        warning("several-emails", _several_emails, "three e-mail addresses in one field"),
        warning("double-decoded-text", _double_decoded, "UTF-8 read as Latin-1 in the name"),
        warning("shared-vat-number", _shared_vat_number, "the VAT number of another party"),
        warning("bad-vat-checksum", _bad_vat_checksum, "VAT number with a wrong check digit"),
        warning("bad-fiscal-code", _bad_fiscal_code, "tax code with a wrong check letter"),
        refused("blank-name", _blank_name, "name NULL or blank"),
        refused("unknown-country", _unknown_country, "a country code that does not exist"),
        refused("city-too-long", _city_too_long, "city of more than 100 characters"),
        refused("timestamp-year-1", _timestamp_year_1, "created 0001-01-01, before year 1 in UTC"),
        refused("timestamp-infinity", _timestamp_infinity, "updated at infinity or -infinity"),
        refused("revenue-percentage-outside-0-100", _revenue_outside, "percentage 100.01 or -5"),
    )
    return {kind.key: kind for kind in kinds}


_OF_PRODUCERS = (
    *("alpha-3-country", "phone-with-slashes", "timestamp-in-repeated-hour", "several-emails"),
    *("revenue-percentage-outside-0-100", "blank-name", "shared-vat-number"),
)
_NOT_OF_BUYERS = (
    *("alpha-3-country", "phone-with-slashes", "timestamp-in-repeated-hour"),
    "revenue-percentage-outside-0-100",
)

DIRTY_BUYERS = tuple(kind for key, kind in _kinds("buyers").items() if key not in _NOT_OF_BUYERS)
DIRTY_PRODUCERS = tuple(_kinds("producers")[key] for key in _OF_PRODUCERS)
