"""Countries: two letters of ISO 3166, whichever way S9 has written them."""

from __future__ import annotations

import subprocess
import sys

import pycountry
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transform.rejections import Unconvertible
from transform.values.countries import country

ENTRIES = [(entry.alpha_2, entry.alpha_3) for entry in pycountry.countries]
blanks = st.text(alphabet=" \t\u00a0", max_size=3)


@given(st.sampled_from(ENTRIES), st.booleans(), st.booleans(), blanks)
def test_every_country_is_known_in_any_case_and_padding(
    entry: tuple[str, str], three: bool, lower: bool, padding: str
) -> None:
    code = entry[1] if three else entry[0]
    written = code.lower() if lower else code
    assert country(padding + written + padding) == {"S": entry[0]}


@pytest.mark.parametrize("blank", [None, "", "   ", "\u00a0"])
def test_a_blank_country_is_italy(blank: object) -> None:
    assert country(blank) == {"S": "IT"}


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("ITA", "IT"),
        ("CHE", "CH"),
        ("deu", "DE"),
        ("UK", "GB"),
        ("EL", "GR"),
        ("XKX", "XK"),
        ("XK", "XK"),
        ("ROM", "RO"),
        ("ROU", "RO"),
        ("DDR", "DE"),
    ],
)
def test_other_names_of_a_country_lead_to_it(written: str, code: str) -> None:
    assert country(written) == {"S": code}


@pytest.mark.parametrize("unknown", ["ZZ", "XYZ", "I", "YUG", "SUN", "CS", "Italia", "39", "I T"])
def test_an_unknown_country_is_refused_and_named(unknown: str) -> None:
    with pytest.raises(Unconvertible) as refused:
        country(unknown)
    assert refused.value.rule == "unknown-country"
    assert unknown in refused.value.reason


def test_the_database_of_countries_is_not_read_before_it_is_needed() -> None:
    script = "import sys, transform.transform_sales; print('pycountry' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"
