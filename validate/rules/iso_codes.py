"""The official codes of countries, currencies and Italian provinces, as sets.

Read from pycountry at the first use, because that takes a while, and independently of what the
transform has made of the values of S9.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import pycountry

# Kosovo has no code in ISO 3166; the European Union writes this one, from the user-assigned range.
_USER_ASSIGNED = frozenset({"XK"})
# ISO 3166-2 lists Aosta only as a region. The others were abolished or renamed, and stay on old
# documents.
_MORE_PROVINCES = frozenset({"AO", "CI", "FO", "OG", "OT", "PS", "SU", "VS"})


@cache
def countries() -> frozenset[str]:
    """ISO 3166-1 alpha-2 codes."""
    return frozenset(country.alpha_2 for country in pycountry.countries) | _USER_ASSIGNED


@cache
def currencies() -> frozenset[str]:
    """ISO 4217 codes of the currencies of today."""
    return frozenset(currency.alpha_3 for currency in pycountry.currencies)


@cache
def italian_provinces() -> frozenset[str]:
    """The two letters of each Italian province, of today and of the documents of yesterday."""
    divisions: Any = pycountry.subdivisions
    letters = {division.code.partition("-")[2] for division in divisions.get(country_code="IT")}
    return frozenset(code for code in letters if code.isalpha()) | _MORE_PROVINCES
