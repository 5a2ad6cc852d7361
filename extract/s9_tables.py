"""The tables of S9's layout `s9`, shared by the entities that read them."""

from extract.declaration import Criterion, Table, columns

_PARTY_COLUMNS = (
    *columns("first_id", "kind", "enabled", "name ragione_sociale", required=True),
    *columns(
        "code",
        "sub_name indirizzo2",
        "vat_number piva",
        "fiscal_code cod_fiscale",
        "sdi_code sdi codice_sdi",
        "pec",
        "address indirizzo",
        "po_box casella_postale",
        "city citta",
        "province provincia",
        "postal_code cap",
        "country nazione",
        "email",
        "phone telefono",
        "fax",
        "website sito_web",
        "main_contact referente",
        "notes note",
        "bank_details banca",
        "preferred_language lingua",
        "default_operator operatore",
        "created_at",
        "updated_at",
        "created_by",
        "updated_by",
    ),
    *columns(  # buyers only
        "payment_method pagamento",
        "payment_terms condizioni_pagamento",
        "currency valuta",
        "vat_exempt esenzione_iva",
        "industrial_group gruppo",
        "sector settore",
    ),
    *columns(  # producers only
        "revenue_percentage percentuale",
        "quality_assurance certificazioni",
        "production_area area_produzione",
        "markets mercati",
        "materials materiali",
        "products prodotti",
        "standard_products prodotti_standard",
        "diameter_range gamma_diametri",
        "max_length lunghezza_max",
        "quantity quantita",
    ),
)
PARTIES = Table("msg_anag", key="first_id", columns=_PARTY_COLUMNS)

ENABLED = Criterion(
    "enabled",
    taken=frozenset({"true", "1"}),
    known={"false": "disabled", "0": "disabled"},
)
IS_BUYER = Criterion(
    "kind",
    taken=frozenset({"2", "3"}),
    known={"1": "kind 1 (producers)"},
    elsewhere=frozenset({"1"}),
)
IS_PRODUCER = Criterion(
    "kind",
    taken=frozenset({"1"}),
    known={"2": "kind 2 (buyers)", "3": "kind 3 (buyers)"},
    elsewhere=frozenset({"2", "3"}),
)
# A key may be a buyer's and a producer's: what a sale copies of its buyer is of a buyer's kind.
BUYERS_QUERY = "SELECT * FROM msg_anag WHERE kind IN (2, 3)"
PRODUCERS_QUERY = "SELECT * FROM msg_anag WHERE kind = 1"

# What a sale copies of its buyer and its producer, and what tells whether they are migrated.
PARTY_COPY = (
    "kind",
    "enabled",
    "name",
    "vat_number",
    "fiscal_code",
    "address",
    "city",
    "province",
    "postal_code",
    "country",
)

SALES = Table(
    "msg",
    key="first_id",
    columns=(
        *columns(
            "first_id id",
            "enabled",
            "sale_number numero num",
            "sale_date data",
            "buyer_id cliente_id anag_id",
            "producer_id fornitore_id",
            "status stato",
            required=True,
        ),
        *columns(
            "reg_number numero_reg",
            "doc_type tipo_doc",
            "buyer_name cliente ragione_sociale_cliente",
            "producer_name fornitore",
            "subtotal imponibile",
            "tax_amount iva",
            "total totale",
            "payment_method pagamento",
            "payment_terms condizioni_pagamento",
            "delivery_method spedizione",
            "delivery_date",
            "po_date",
            "payment_date",
            "dn_date",
            "dn_date2",
            "dn_date3",
            "registration_date",
            "notes note",
            "internal_notes note_interne",
            "printed_note nota_stampa",
            "package imballo",
            "delivery_note note_consegna",
            "payment_note nota_pagamento",
            "reference_number riferimento",
            "po_number numero_ordine",
            "dn_number ddt_numero",
            "dn_number2 ddt_numero2",
            "dn_number3 ddt_numero3",
            "pa_cup_number cup",
            "pa_cig_number cig",
            "bank banca",
            "co_bank_description banca_co",
            "co_bank_iban iban_co",
            "vat_off esente_iva",
            "invoice_number numero_fattura",
            "iva_percentage aliquota_iva",
            "currency valuta",
            "invoice_generated fattura_generata",
            "number_t numero_t",
            "year anno",
            "created_at",
            "updated_at",
            "created_by",
            "updated_by",
        ),
    ),
)

LINES = Table(
    "msg_line",
    key="id",
    columns=(
        *columns("id first_id", "msg_id", "line_number riga", "unit_price prezzo", required=True),
        *columns(
            "product_code codice",
            "product_description descrizione",
            "quantity quantita",
            "discount sconto",
            "discount_amount importo_sconto",
            "net_amount imponibile",
            "tax_amount iva",
            "total_amount totale",
            "tax_rate aliquota_iva",
            "unit_of_measure um",
            "notes note",
            "created_at",
            "updated_at",
        ),
    ),
)
