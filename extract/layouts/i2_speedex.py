"""Layout i2_speedex: four plain tables, with keys, dates and rates of their own.

Columns are read under the names that the transforms know where there is such a name, else under
their own; what becomes of them is in transform/layouts/i2_speedex.py. A disabled party is one
that was deleted: `offline` is a state of parties that are kept.
"""

from extract.declaration import Children, Copy, Criterion, Entity, Table, columns

_BUYERS = Table(
    "buyers",
    key="first_id",
    columns=(
        *columns("first_id id", "enabled status", "code", "name", "country", required=True),
        *columns(
            *("sub_name", "province prov", "address", "postal_code zip", "city", "po_box box"),
            *("notes note", "vat_number vat", "fiscal_code taxid", "vat_exempt vatoff"),
            *("sdi_code", "phone tel", "fax", "email", "pec", "website web"),
            *("main_contact contact", "currency", "default_operator operator_id"),
            *("industrial_group", "sector", "preferred_language lang"),
            *("payment_method payment", "bank_details bank", "created_at new_date"),
        ),
        *columns("email_domain", "ship", "ue"),
    ),
)

_PRODUCERS = Table(
    "producers",
    key="first_id",
    columns=(
        *columns("first_id id", "enabled status", "code", "name", "country", required=True),
        *columns(
            *("sub_name", "address", "city", "province prov", "po_box box", "postal_code zip"),
            *("revenue_percentage revenue", "notes note", "vat_number vat", "sdi_code"),
            *("main_contact contact", "preferred_language lang"),
            *("default_operator operator_id", "phone tel", "fax", "bank_details banks"),
            *("created_at new_date", "website web", "email", "pec", "quality_assurance"),
            *("production_area", "markets", "materials", "products", "standard_products"),
            *("diameter_range", "max_length", "quantity"),
        ),
        *columns("ue", "vat_off", "commission_invoice", "commission_bank", "automotive"),
    ),
)

_SALES = Table(
    "sales",
    key="first_id",
    columns=(
        *columns("first_id id", "sale_number number", "year", "status", required=True),
        *columns("buyer_id", "producer_id", "sale_date reg_date", required=True),
        *columns(
            *("registration_date reg_date_input", "producer_name name", "currency"),
            *("iva_percentage vat_perc", "vat_off", "subtotal amount", "tax_amount vat", "total"),
            *("reference_number buyer_ref", "payment_terms pag", "payment_method payment"),
            *("co_bank_description payment_bank", "co_bank_iban payment_bank_iban"),
            *("payment_date", "payment_note", "package", "delivery_note delivery"),
            *("dn_number", "dn_number2", "dn_number3", "dn_date", "dn_date2", "dn_date3"),
            *("po_number", "po_date", "pa_cup_number cup_contract_id"),
            *("pa_cig_number cig_contract_id", "notes sale_note", "internal_notes note"),
            *("attach_invoice invoice_attach", "pdf_font_base font_base"),
        ),
        *columns(
            *("code", "country", "vat_on", "tax_on", "eur_amount", "tax", "to_pay", "pay_load"),
            *("eur_pay_load", "stamp", "buyer_ue", "bank_id", "attachs"),
        ),
    ),
)

_LINES = Table(
    "sale_lines",
    key="id",
    columns=(
        *columns("id", "msg_id sale_id", "line_number pos", "unit_price price", required=True),
        *columns(
            *("product_code code", "product_description description", "quantity qty"),
            *("discount", "tax_rate vat"),
        ),
        *columns(
            *("vat_off", "vat_off_desc", "shipping", "lfz", "import_id", "test", "standard"),
            *("strength", "drive", "length", "finish", "sorting", "certificate"),
        ),
    ),
)

# What a sale copies of its parties; `ue` is the VAT number of buyers that have no other.
_COPIED = ("name", "vat_number", "address", "city", "province", "postal_code", "country")
_QUERY = "SELECT * FROM sales"
_IN_USE = Criterion("enabled", taken=frozenset(), known={"deleted": "status deleted"})


def _parties(table: Table, reference: str) -> Entity:
    """The parties of a table; without a status they are read, and refused with that reason."""
    kept = f"SELECT * FROM {table.name} WHERE (status IS NULL OR LOWER(TRIM(status)) <> 'deleted'"
    return Entity(
        name=table.name,
        table=table,
        queries={
            "exclude": f"{kept})",
            "referenced": f"{kept} OR id IN (SELECT {{sales.{reference}}} FROM sales))",
            "all": f"SELECT * FROM {table.name}",
        },
        mentions=(_SALES,),
        criteria=(_IN_USE,),
    )


ENTITIES = (
    _parties(_BUYERS, "buyer_id"),
    _parties(_PRODUCERS, "producer_id"),
    Entity(
        name="sales",
        table=_SALES,
        queries={"exclude": _QUERY, "referenced": _QUERY, "all": _QUERY},
        copies=(
            Copy("buyer", "buyer_id", _BUYERS, (*_COPIED, "fiscal_code", "ue"), of="buyers"),
            Copy("producer", "producer_id", _PRODUCERS, _COPIED, of="producers"),
        ),
        children=Children("lines", _LINES, parent="msg_id", order=("line_number", "id")),
    ),
)
