"""XML in text columns: what it says as text, and everything that is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transform.values.xml_text import (
    MAX_CHARACTERS,
    MAX_DEPTH,
    MAX_ELEMENTS,
    Element,
    UnreadableXml,
    parse,
    records,
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "<x><bank><name>Banca X</name><iban>IT60</iban></bank><bank name='Y' bic='Z'/></x>",
            ["name: Banca X, iban: IT60", "name: Y, bic: Z"],
        ),
        ("<v><code>N3.5</code><desc>Art. 8</desc></v>", ["code: N3.5, desc: Art. 8"]),
        ("<v>N3.5</v>", ["N3.5"]),
        ("<a>prima <b>x</b>\n dopo</a>", ["b: x, prima dopo"]),
        ("<a><b><c><d>tief</d></c></b></a>", ["d: tief"]),
        ("<a x='1'><b y='2'>z</b></a>", ["x: 1", "y: 2, z"]),
        ("<a>&lt;&amp;&gt; &#232; <![CDATA[<b>]]></a>", ["<&> è <b>"]),
        ('<?xml version="1.0" encoding="ISO-8859-1"?><a>è</a>', ["è"]),
        ("  <a/>  ", []),
        ("<banks><bank/><bank><name> </name></bank></banks>", []),
        ("<!-- c --><a>x<!-- c --></a><?pi?>", ["x"]),
    ],
)
def test_what_xml_says_is_one_line_a_record(text: str, said: list[str]) -> None:
    assert records(parse(text)) == said


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("<a>", "no element found"),
        ("<a><b></a></b>", "mismatched tag"),
        ("", "no element found"),
        ("plain", "syntax error"),
        ("<a/><b/>", "junk after document element"),
        ("<a>&nbsp;</a>", "undefined entity"),
        ("<a>\x00</a>", "not well-formed"),
        ("<a>\ud800</a>", "not well-formed"),
        ("<!DOCTYPE a><a/>", "document type"),
        ('<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>', "document type"),
        ('<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>', "document type"),
        ('<!DOCTYPE a SYSTEM "http://example.com/a.dtd"><a/>', "document type"),
        ('<!DOCTYPE a [<!ENTITY % p SYSTEM "http://example.com/"> %p;]><a/>', "document type"),
        ("<a>" * (MAX_DEPTH + 1) + "</a>" * (MAX_DEPTH + 1), "nested deeper"),
        ("<a>" + "<b/>" * MAX_ELEMENTS + "</a>", "more than 10,000 elements"),
        ("<a>" + "x" * MAX_CHARACTERS + "</a>", "characters"),
    ],
)
def test_what_is_broken_or_not_safe_is_refused_before_it_is_read(text: str, why: str) -> None:
    with pytest.raises(UnreadableXml, match=why):
        parse(text)


def test_the_limits_themselves_are_allowed() -> None:
    parse("<a>" * MAX_DEPTH + "</a>" * MAX_DEPTH)
    parse("<a>" + "<b/>" * (MAX_ELEMENTS - 1) + "</a>")
    parse("<a>" + "x" * (MAX_CHARACTERS - 7) + "</a>")


words = st.text(
    st.characters(blacklist_categories=("Cs", "Cc"), blacklist_characters="\ufffe\uffff"),
    min_size=1,
).map(lambda text: " ".join(text.split()))


def escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


@given(words)
def test_text_comes_out_as_it_went_in(text: str) -> None:
    assert parse(f"<a>{escaped(text)}</a>") == Element("a", {}, text)


@given(st.text(alphabet="<>/&;a!-[]= '\"\n", max_size=40))
def test_whatever_the_text_it_is_read_or_refused(text: str) -> None:
    try:
        records(parse(text))
    except UnreadableXml as refusal:
        assert text.strip()[:20] not in str(refusal) or len(text.strip()) < 5
