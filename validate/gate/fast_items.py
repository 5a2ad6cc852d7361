"""Sales and lines in the form in which nearly all of them are written, recognised by their bytes.

A pattern for each kind, made from its schema: the attributes in the order in which the transform
writes them, each with a form that is the schema's or narrower. What matches conforms to its schema
and to DynamoDB's limits, and its keys agree with its ids; that costs a tenth of parsing an item and
asking the schema. What does not match is no worse for it: it is judged by the slower way, which
alone can say what is wrong. So a mistake here may only ever be a pattern that takes too little, and
tests generate items from the patterns and put them to the schemas.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from validate.rules.schema_check import schema

SALE_ORDER = (
    *("PK", "SK", "GSI1PK", "GSI1SK", "GSI2PK", "GSI2SK", "GSI3PK", "GSI3SK", "GSI4PK", "GSI4SK"),
    *("saleId", "legacyId", "saleDate", "year", "status", "docType", "buyerId", "producerId"),
    *("buyerName", "buyerVatNumber", "buyerFiscalCode", "buyerAddress", "buyerCity"),
    *("buyerProvince", "buyerPostalCode", "buyerCountry"),
    *("producerName", "producerVatNumber", "producerFiscalCode", "producerAddress"),
    *("producerCity", "producerProvince", "producerPostalCode", "producerCountry"),
    *("subtotal", "taxAmount", "total", "ivaPercentage", "linesCount"),
    *("saleNumber", "regNumber", "numberT", "currency", "invoiceGenerated", "invoiceNumber"),
    *("registrationDate", "vatOff", "paymentMethod", "paymentTerms", "paymentDate"),
    *("paymentNote", "bank", "coBankDescription", "coBankIban", "deliveryMethod"),
    *("deliveryDate", "deliveryNote", "package", "referenceNumber", "poNumber", "poDate"),
    *("dnNumber", "dnDate", "dnNumber2", "dnDate2", "dnNumber3", "dnDate3"),
    *("paCupNumber", "paCigNumber", "notes", "internalNotes", "printedNote"),
    *("createdAt", "updatedAt", "createdBy", "updatedBy"),
)
LINE_ORDER = (
    *("PK", "SK", "saleId", "lineId", "legacyId", "lineNumber", "productDescription"),
    *("quantity", "unitPrice", "discount", "discountAmount", "netAmount", "taxRate"),
    *("taxAmount", "totalAmount", "createdAt", "updatedAt", "createdBy", "updatedBy"),
    *("productCode", "unitOfMeasure", "notes"),
)

_UUID = "[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
# Plausible years (validate/rules/sale_rules.py), and no 29 February, which only a calendar could
# judge.
_DAY = (
    "(?:199[0-9]|20[0-9]{2})-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])"
    "|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))"
)
_TIME = r"T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]\.[0-9]{3}Z"
_CHARACTER = r'[^"\\\x00-\x1f]'  # nothing that JSON escapes


def _number(integer_digits: int, decimals: int) -> str:
    fraction = rf"(?:\.[0-9]{{0,{decimals - 1}}}[1-9])"
    return rf"(?:0|-?(?:[1-9][0-9]{{0,{integer_digits - 1}}}{fraction}?|0{fraction}))"


_FORMS = {
    "textOrEmpty": f"{_CHARACTER}*",
    "date": _DAY,
    "timestamp": _DAY + _TIME,
    "country": "[A-Z]{2}",
    "currency": "[A-Z]{3}",
    "legacyId": "-?[0-9]{1,19}",
    "amount": _number(9, 6),
    "percent": r"(?:100|[1-9]?[0-9](?:\.[0-9]{0,5}[1-9])?)",
    "integer": "(?:0|-?[1-9][0-9]{0,14})",
    "count": "(?:0|[1-9][0-9]{0,14})",
    "position": "[1-9][0-9]{0,14}",
    "flag": "(?:true|false)",
}
_CENTS = _number(9, 2)
_SALE_FORMS = {
    "PK": f"SALE#(?P<saleId>{_UUID})",
    "SK": "METADATA",
    "GSI1PK": "STATUS#(?P<status>draft|confirmed|invoiced|paid|cancelled)",
    "GSI1SK": f"(?P<saleDate>{_DAY})",
    "GSI2PK": f"BUYER#(?P<buyerId>{_UUID})",
    "GSI3PK": f"PRODUCER#(?P<producerId>{_UUID})",
    "GSI4PK": "(?P<numbering>SALE)",
    **dict.fromkeys(("GSI2SK", "GSI3SK", "GSI4SK", "saleDate"), "(?P=saleDate)"),
    **{name: f"(?P={name})" for name in ("saleId", "status", "buyerId", "producerId")},
    "docType": "(?P<docType>proforma|invoice)",
    **dict.fromkeys(("subtotal", "taxAmount", "total"), _CENTS),
}
_LINE_FORMS = {
    "PK": f"SALE#(?P<saleId>{_UUID})",
    "SK": f"LINE#(?P<lineId>{_UUID})",
    **{name: f"(?P={name})" for name in ("saleId", "lineId")},
    **dict.fromkeys(("discountAmount", "netAmount", "taxAmount", "totalAmount"), _CENTS),
}
# What the checks beyond the schema need to see.
_SALE_SEEN = frozenset(
    {
        *("legacyId", "year", "buyerCountry", "producerCountry", "currency", "subtotal"),
        *("taxAmount", "total", "linesCount", "saleNumber", "coBankIban"),
    }
)
_LINE_SEEN = frozenset(
    {
        *("lineNumber", "productDescription", "productCode", "quantity", "unitPrice", "discount"),
        *("discountAmount", "netAmount", "taxRate", "taxAmount", "totalAmount"),
    }
)


@cache
def sale_pattern() -> re.Pattern[bytes]:
    """The pattern of a sale's METADATA line, with what is needed of it as named groups."""
    return _pattern("sale", SALE_ORDER, _SALE_FORMS, _SALE_SEEN, together=("GSI4PK", "GSI4SK"))


@cache
def line_pattern() -> re.Pattern[bytes]:
    """The pattern of a LINE line, with what is needed of it as named groups."""
    return _pattern("sale_line", LINE_ORDER, _LINE_FORMS, _LINE_SEEN)


def _pattern(
    kind: str,
    order: tuple[str, ...],
    forms: dict[str, str],
    seen: frozenset[str],
    together: tuple[str, ...] = (),
) -> re.Pattern[bytes]:
    """The pattern of an item; attributes that come `together` are all there or none."""
    declared = schema(kind)
    parts = []
    for name in order:
        form = forms.get(name) or _form(declared["properties"][name])
        part = _attribute(name, f"(?P<{name}>{form})" if name in seen else form)
        if name in together:
            part = {together[0]: f"(?:{part}", together[-1]: f"{part}|)"}[name]
        elif name not in declared["required"]:
            part = f"(?:{part}|)"  # a third faster than with a question mark
        parts.append(part)
    text = r'\{"Item":\{' + "".join(parts).removeprefix(",") + r"\}\}\n?"
    return re.compile(text.encode())


def _attribute(name: str, form: str) -> str:
    tag = "BOOL" if form == _FORMS["flag"] else "N" if name in _NUMBERS else "S"
    quote = "" if tag == "BOOL" else '"'
    return rf',"{name}":\{{"{tag}":{quote}{form}{quote}\}}'


def _form(declared: dict[str, Any]) -> str:
    """The form of an attribute that the schema declares by one of the common kinds of values."""
    kind = declared["$ref"].rpartition("/")[2]
    if kind == "text":
        longest = declared.get("properties", {}).get("S", {}).get("maxLength", "")
        return f"{_CHARACTER}{{1,{longest}}}"  # bytes, of which there are more than characters
    return _FORMS[kind]


def _numbers() -> frozenset[str]:
    """The attributes of type N, of both kinds."""
    values = schema("values")["$defs"]
    return frozenset(
        name
        for kind in ("sale", "sale_line")
        for name, declared in schema(kind)["properties"].items()
        if "$ref" in declared and "N" in values[declared["$ref"].rpartition("/")[2]]["properties"]
    )


_NUMBERS = _numbers()
