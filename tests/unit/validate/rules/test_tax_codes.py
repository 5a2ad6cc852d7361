"""VAT numbers, tax codes and IBANs, country by country."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum.it import codicefiscale

from validate.rules.iso_codes import countries, currencies, italian_provinces
from validate.rules.tax_codes import (
    compact,
    is_fiscal_code,
    is_iban,
    is_person,
    is_vat_number,
    vat_key,
    wrong_ibans,
)

VALID = [
    ("IT", "00743110157"),
    ("IT", "IT 00743110157"),
    ("AT", "ATU57194903"),
    ("AT", "U57194903"),
    ("BE", "BE0697449992"),
    ("FR", "FR 61 954 506 077"),
    ("MC", "FR53000004605"),
    ("GR", "EL 094259216"),
    ("GR", "094259216"),
    ("NL", "NL004495445B01"),
    ("GB", "GB 980 7806 84"),
    ("CH", "CHE-107.787.577 IVA"),
    ("LI", "CHE-107.787.577"),
    ("NO", "NO 995 525 828 MVA"),
    ("SM", "SM24165"),
    ("US", "whatever they write"),
]
INVALID = [
    ("IT", "00743110158"),
    ("IT", "0074311015"),
    ("IT", "FR61954506077"),
    ("IT", "00000000000"),
    ("IT", "RCCMNL83S18D969H"),
    ("AT", "ATU57194904"),
    ("FR", "FR 61 954 506 078"),
    ("GR", "EL 094259217"),
    ("CH", "CHE-107.787.578 IVA"),
    ("CH", "12345"),
    ("GB", "GB 980 7806 85"),
]


@pytest.mark.parametrize(("country", "number"), VALID)
def test_a_valid_vat_number(country: str, number: str) -> None:
    assert is_vat_number(country, number)


@pytest.mark.parametrize(("country", "number"), INVALID)
def test_an_invalid_vat_number(country: str, number: str) -> None:
    assert not is_vat_number(country, number)


def test_a_tax_code_is_of_a_person_or_of_a_company() -> None:
    assert is_fiscal_code("rccmnl83s18d969h")
    assert is_fiscal_code("00743110157")
    assert not is_fiscal_code("RCCMNL83S18D969A")
    assert not is_fiscal_code("00743110158")
    # 31 February
    assert not is_fiscal_code("RCCMNL83B31D969H")
    assert is_person("RCCMNL83S18D969X")
    assert not is_person("00743110157")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (("IT", "IT00743110157"), ("IT", "0074311 0157"), True),
        (("GR", "EL094259216"), ("GR", "GR094259216"), True),
        (("CH", "CHE-107.787.577"), ("CH", "che 107 787 577"), True),
        (("IT", "00743110157"), ("IT", "00743110158"), False),
        (("IT", "00743110157"), ("SM", "00743110157"), False),
    ],
)
def test_vat_numbers_are_compared_in_one_spelling(
    one: tuple[str, str], other: tuple[str, str], same: bool
) -> None:
    assert (vat_key(*one) == vat_key(*other)) is same


@pytest.mark.parametrize("number", ["", "   ", "IT", "00000000000", "IT 0000"])
def test_a_vat_number_that_says_nothing_is_not_compared(number: str) -> None:
    assert vat_key("IT", number) == ""


GOOD_IBAN, BAD_IBAN = "IT60X0542811101000000123456", "IT60X0542811101000000123457"


def test_ibans() -> None:
    assert is_iban(GOOD_IBAN)
    assert is_iban("de89 3704 0044 0532 0130 00")
    assert not is_iban(BAD_IBAN)
    assert not is_iban("IT60")
    assert not is_iban("")


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("", []),
        (GOOD_IBAN, []),
        (BAD_IBAN, [BAD_IBAN]),
        (f"BPM\nIBAN: {BAD_IBAN}\nBIC BPMIITMM", [BAD_IBAN]),
        ("IT60 X054 2811 1010 0000 0123 457", [BAD_IBAN]),
        ("IT60 X054 2811 1010 0000 0123 457 filiale", [BAD_IBAN]),
        (f"{GOOD_IBAN} oppure {BAD_IBAN}", [BAD_IBAN]),
        # Too short, too long, in the middle of a word, of no country: not obviously IBANs.
        ("IT60 X054 2811", []),
        (f"{BAD_IBAN}9", []),
        (f"A{BAD_IBAN}", []),
        ("XX60X0542811101000000123457", []),
        ("AB12 CD34 rif. ordine", []),
    ],
)
def test_wrong_ibans_in_a_free_text(text: str, wrong: list[str]) -> None:
    assert wrong_ibans(text) == wrong


_DIRTY = st.text(
    st.one_of(
        st.sampled_from("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ .-/"), st.characters(codec="utf-8")
    ),
    max_size=30,
)


@given(st.sampled_from(sorted(countries())), _DIRTY)
def test_no_text_breaks_the_checks(country: str, text: str) -> None:
    for number in (text, country + text):
        assert is_vat_number(country, number) in (True, False)
        assert vat_key(country, number) == vat_key(country, number.lower())
        assert is_fiscal_code(number) in (True, False)
        assert isinstance(wrong_ibans(number), list)


def test_official_codes() -> None:
    assert {"IT", "CH", "XK"} <= countries()
    assert not {"UK", "EL", "XX", "ITA"} & countries()
    assert {"EUR", "CHF", "USD"} <= currencies()
    assert not {"ITL", "XYZ"} & currencies()
    assert {"PC", "MI", "AO", "BZ", "SU", "FO"} <= italian_provinces()
    assert not {"21", "XX", ""} & italian_provinces()


@given(st.text("0123456789IT -.x", max_size=16) | st.from_regex(r"(IT)?[0-9]{11}", fullmatch=True))
def test_a_tax_code_is_what_stdnum_takes_for_one(number: str) -> None:
    """The eleven digits of a company are judged once, for its VAT number and its tax code."""
    assert is_fiscal_code(number) == codicefiscale.is_valid(compact(number))
