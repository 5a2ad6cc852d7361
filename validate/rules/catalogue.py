"""Every rule of the gate before the load: how severe it is, and what it means.

The names below are what the reports count, what quarantine states and what the documentation
lists. `validation.strictMode` turns every warning into an error; the groups `references`,
`duplicates` and `business` can be switched off in the configuration.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from utils.files.findings import Severity

Group = Literal["schema", "limits", "consistency", "references", "duplicates", "layout", "business"]


class Note(NamedTuple):
    """What a rule has to say about one attribute of one record, before it becomes a finding."""

    field: str
    rule: str
    message: str


@dataclass(frozen=True)
class Rule:
    """One rule: `meaning` says what the rule finds, as the reports explain it."""

    group: Group
    severity: Severity
    meaning: str


def _errors(group: Group, **meanings: str) -> dict[str, Rule]:
    return {name.replace("_", "-"): Rule(group, "error", text) for name, text in meanings.items()}


def _warnings(group: Group, **meanings: str) -> dict[str, Rule]:
    return {name.replace("_", "-"): Rule(group, "warning", text) for name, text in meanings.items()}


RULES: dict[str, Rule] = {
    **_errors(
        "schema",
        not_an_item="a line of the artifact is not an item in DynamoDB JSON",
        attribute_missing="an attribute that the Sale Module needs is absent",
        attribute_unknown="an attribute that the Sale Module does not know, or must not be given",
        attribute_type="an attribute has another type than the Sale Module expects",
        attribute_length="a text is empty or longer than the Sale Module takes",
        attribute_value="a value does not have the form that the Sale Module expects",
    ),
    **_errors(
        "limits",
        dynamodb_item_size="an item is larger than DynamoDB's 400 KB",
        dynamodb_key="a key of the table or of an index is empty, too long or not a text",
        dynamodb_number="a number has more digits or another magnitude than DynamoDB keeps",
        dynamodb_nesting="an item is nested deeper than DynamoDB's 32 levels",
        dynamodb_set="a set is empty",
    ),
    **_errors(
        "consistency",
        identity="keys and ids of a record do not belong together",
        index_key="an index key differs from the attribute that it repeats",
        numbering_index="a sale is in the index of sale numbers and must not be, or the reverse: "
        "the next number of its year would be wrong",
        lines_count="linesCount is not the number of lines",
        line_order="the line numbers do not rise from line to line",
    ),
    **_warnings(
        "consistency",
        numbering_order="a sale stays out of the index of sale numbers, so that the next number "
        "of its year is right: it is not dated before the sale with the highest one, or is "
        "numbered in another year",
    ),
    **_errors("references", reference="the buyer or the producer of a sale is not migrated"),
    **_errors("duplicates", duplicate_key="an earlier record has the same key"),
    **_warnings(
        "duplicates",
        duplicate_code="another record of the entity has the same code",
        duplicate_vat_number="another record of the entity has the same VAT number",
        duplicate_sale_number="another sale of the year has the same number",
    ),
    **_warnings(
        "layout",
        broken_xml="a text of S9 should be XML and is not, or is not safe to read",
        placeholder_party="a sale names no buyer or no producer: the configured placeholder "
        "stands in",
        suspicious_fraction="a fraction above 1 was taken as percent",
        taxed_exemption="a line has the code of a VAT exemption, and a VAT rate",
        text_cut="a text is longer than the Sale Module takes: the rest is in legacy only",
        doubtful_value="a value was converted in a way that its layout calls doubtful",
    ),
    **_errors("business", country="a country is not in ISO 3166"),
    **_warnings(
        "business",
        currency="a currency is not a current one of ISO 4217",
        vat_number="a VAT number is not a valid one of its country",
        tax_code_as_vat_number="the VAT number is the tax code of a person",
        fiscal_code="an Italian tax code is neither 16 valid characters nor 11 valid digits",
        province="the province of an Italian party is not one of the official codes",
        email="an e-mail address is malformed",
        email_several="one attribute holds several e-mail addresses",
        iban="an IBAN is not valid",
        line_amounts="the amounts of a line do not follow from its quantity, price and rates",
        sale_sums="subtotal, tax or total of a sale is not the sum of its lines: unless it is "
        "frozen, any edit of a line changes them",
        draft_sums="a draft does not equal its lines: confirming it changes the amounts",
        sale_total="the total is not subtotal and tax (a revenue stamp, or a mistake)",
        implausible_date="a date on a sale is before 1990 or after 2100",
        sale_year="the year of the numbering is not the year of the sale's date",
        no_lines="a sale has no lines",
        no_description="a line has no description of its own",
        garbled_text="a text was decoded with the wrong character set somewhere (Ã¨ for è)",
        control_characters="a text holds characters that cannot be displayed or printed",
    ),
}


def severity_of(rule: str, *, strict: bool) -> Severity:
    """The severity of a rule; with `strict` every rule is an error."""
    return "error" if strict else RULES[rule].severity
