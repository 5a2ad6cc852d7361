"""VAT numbers, tax codes and IBANs of the sample data: right by their check digits, nobody's own.

Each function takes an index and gives a different number for every index, so that no number
comes twice by chance.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

from stdnum import iban, luhn
from stdnum.at import uid as austrian
from stdnum.ch import uid as swiss
from stdnum.fr import siren as french
from stdnum.iso7064 import mod_11_10
from stdnum.it import codicefiscale

_VOWELS = "AEIOU"
_MONTHS = "ABCDEHLMPRST"
_BIRTHPLACES = ("F205", "H501", "L219", "A944", "D612", "F839", "G273", "L781", "A662", "D969")


def _spread(index: int, low: int, width: int) -> int:
    """A number of low … low + width - 1, different for each of the first `width` indexes.

    The multiplier is a prime that divides none of the widths in use.
    """
    return low + (index * 48_271 + 1_009) % width


def italian_vat(index: int) -> str:
    """An Italian VAT number, 11 digits: seven of the company, three of the office, a check digit.

    Its first seven digits are far above those in use, so that it is hardly a real company's.
    """
    number = f"{_spread(index, 5_000_000, 2_999_999):07d}{1 + index % 100:03d}"
    return number + luhn.calc_check_digit(number)


def german_vat(index: int) -> str:
    """A German VAT number with its prefix: DE and nine digits."""
    number = str(_spread(index, 40_000_000, 9_999_999))
    return f"DE{number}{mod_11_10.calc_check_digit(number)}"


def austrian_vat(index: int) -> str:
    """An Austrian VAT number with its prefix: ATU and eight digits."""
    number = str(_spread(index, 1_000_000, 8_999_999))
    return f"ATU{number}{austrian.calc_check_digit('U' + number)}"


def french_vat(index: int) -> str:
    """A French VAT number with its prefix: FR and eleven digits."""
    number = str(_spread(index, 90_000_000, 9_999_999))
    return f"FR{french.to_tva(number + luhn.calc_check_digit(number))}"


def swiss_vat(index: int) -> str:
    """A Swiss VAT number: CHE, nine digits, MWST."""
    number = _spread(index, 10_000_000, 9_999_999)
    while len(check := swiss.calc_check_digit(str(number))) > 1:
        number += 10_000_000  # numbers whose check digit would be 10 are not given out
    return f"CHE{number}{check}MWST"


FOREIGN_VAT: dict[str, Callable[[int], str]] = {
    "DE": german_vat,
    "AT": austrian_vat,
    "FR": french_vat,
    "CH": swiss_vat,
}


def person_code(surname: str, first_name: str, born: date, index: int) -> str:
    """The Italian tax code (16 characters) of a man of this name and birthday."""
    year, day = f"{born.year % 100:02d}", f"{born.day:02d}"
    place = _BIRTHPLACES[index % len(_BIRTHPLACES)]
    code = f"{_letters(surname)}{_letters(first_name, first=True)}"
    code += f"{year}{_MONTHS[born.month - 1]}{day}{place}"
    return code + codicefiscale.calc_check_digit(code)


def _letters(name: str, *, first: bool = False) -> str:
    letters = [letter for letter in name.upper() if "A" <= letter <= "Z"]
    consonants = [letter for letter in letters if letter not in _VOWELS]
    if first and len(consonants) > 3:
        del consonants[1]  # of four or more consonants, a first name leaves out the second
    vowels = [letter for letter in letters if letter in _VOWELS]
    return "".join([*consonants, *vowels, *"XXX"][:3])


def italian_iban(index: int) -> str:
    """An Italian IBAN of a bank that does not exist (bank code 99999)."""
    account = f"9999901600{index:012d}"
    return with_check_digits("IT", _control_letter(account) + account)


def with_check_digits(country: str, account: str) -> str:
    """The IBAN of a national account number."""
    return f"{country}{iban.calc_check_digits(f'{country}00{account}')}{account}"


def _control_letter(account: str) -> str:
    # The letter before an Italian account is computed as that of a tax code, over 22 characters.
    return codicefiscale.calc_check_digit(account)
