"""Buyers in S9: parties of kind 2 or 3."""

from dataclasses import replace

from extract.declaration import Entity, columns
from extract.s9_tables import PARTIES, PARTY_COLUMNS, SALES

BUYERS = Entity(
    name="buyers",
    table=replace(
        PARTIES,
        columns=(
            *PARTY_COLUMNS,
            *columns(
                "payment_method pagamento",
                "payment_terms condizioni_pagamento",
                "currency valuta",
                "vat_exempt esenzione_iva",
                "industrial_group gruppo",
                "sector settore",
            ),
        ),
    ),
    queries={
        "exclude": "SELECT * FROM msg_anag WHERE kind IN (2, 3) AND enabled = true",
        "referenced": "SELECT * FROM msg_anag WHERE kind IN (2, 3) AND (enabled = true "
        "OR first_id IN (SELECT {msg.buyer_id} FROM msg WHERE enabled = true))",
        "all": "SELECT * FROM msg_anag WHERE kind IN (2, 3)",
    },
    mentions=(SALES,),
)
