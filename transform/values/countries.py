"""Countries: ISO 3166 alpha-2, whichever way S9 has written them."""

from __future__ import annotations

from functools import cache
from typing import Any

from transform.rejections import Unconvertible
from transform.values.text import clean, quoted

HOME = "IT"
"""What a blank country means in S9."""

# Codes outside ISO 3166-1 with one meaning only. A code of a state with several successors (YUG,
# CSK, SUN, ANT) is not here: which of them is meant would be a guess.
_ALIASES = {
    # reserved: the United Kingdom's own code, and Greece in VAT numbers
    "UK": "GB",
    "EL": "GR",
    # user-assigned: Kosovo, as the European Union writes it
    "XK": "XK",
    "XKX": "XK",
    # withdrawn, with one successor (ISO 3166-3; ROM was Romania's until 2002)
    "ROM": "RO",
    "BU": "MM",
    "BUR": "MM",
    "BYS": "BY",
    "DD": "DE",
    "DDR": "DE",
    "FX": "FR",
    "FXX": "FR",
    "TP": "TL",
    "TMP": "TL",
    "ZR": "CD",
    "ZAR": "CD",
}


def country(value: object) -> dict[str, Any]:
    """Return the String attribute of a country given as alpha-2 or alpha-3, in any case.

    A blank one is Italy. Raises Unconvertible (`unknown-country`, `invalid-text`).
    """
    code = clean(value).upper()
    if not code:
        return _attributes()[HOME]
    try:
        return _attributes()[code]
    except KeyError:
        raise Unconvertible(
            "unknown-country", f"{quoted(value, words=True)} is not an ISO 3166 country code"
        ) from None


@cache
def _attributes() -> dict[str, dict[str, Any]]:
    # Imported at the first use: reading its database takes the time of a thousand sales.
    import pycountry  # noqa: PLC0415

    codes = dict(_ALIASES)
    for entry in pycountry.countries:
        codes[entry.alpha_2] = codes[entry.alpha_3] = entry.alpha_2
    return {code: {"S": alpha_2} for code, alpha_2 in codes.items()}
