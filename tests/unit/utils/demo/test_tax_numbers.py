"""The sample's VAT numbers, tax codes and IBANs are right, and different for every index."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum import get_cc_module, iban
from stdnum.it import codicefiscale, iva

from utils.demo.sample import tax_numbers

INDEXES = st.integers(min_value=0, max_value=2_900_000)
NAMES = st.text(alphabet="abcdefghilmnopqrstuvzAEIOUàèù' ", min_size=1, max_size=20)


@given(INDEXES)
def test_italian_vat_numbers_have_the_right_check_digit(index: int) -> None:
    assert iva.is_valid(tax_numbers.italian_vat(index))


@pytest.mark.parametrize("country", sorted(tax_numbers.FOREIGN_VAT))
@given(index=INDEXES)
def test_foreign_vat_numbers_are_valid_in_their_country(country: str, index: int) -> None:
    module = get_cc_module(country.lower(), "vat")
    assert module is not None
    assert module.is_valid(tax_numbers.FOREIGN_VAT[country](index))


@pytest.mark.parametrize("make", [tax_numbers.italian_vat, *tax_numbers.FOREIGN_VAT.values()])
def test_no_vat_number_comes_twice(make: Callable[[int], str]) -> None:
    numbers = {make(index) for index in range(20_000)}
    assert len(numbers) == 20_000


@given(NAMES, NAMES, st.dates(date(1930, 1, 1), date(2005, 12, 31)), INDEXES)
def test_tax_codes_of_people_are_valid(
    surname: str, first_name: str, born: date, index: int
) -> None:
    code = tax_numbers.person_code(surname, first_name, born, index)
    assert codicefiscale.is_valid(code)
    assert codicefiscale.get_birth_date(code, minyear=1920) == born


def test_a_tax_code_takes_its_letters_as_the_law_says() -> None:
    code = tax_numbers.person_code("Rossi", "Gianfranco", date(1983, 11, 18), 0)
    assert code[:15] == "RSSGFR83S18F205"


@given(INDEXES)
def test_ibans_are_valid(index: int) -> None:
    assert iban.is_valid(tax_numbers.italian_iban(index))
