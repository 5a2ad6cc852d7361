"""Producers in S9: parties of kind 1."""

from dataclasses import replace

from extract.declaration import Entity, columns
from extract.s9_tables import PARTIES, PARTY_COLUMNS, SALES

PRODUCERS = Entity(
    name="producers",
    table=replace(
        PARTIES,
        columns=(
            *PARTY_COLUMNS,
            *columns(
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
        ),
    ),
    queries={
        "exclude": "SELECT * FROM msg_anag WHERE kind = 1 AND enabled = true",
        "referenced": "SELECT * FROM msg_anag WHERE kind = 1 AND (enabled = true "
        "OR first_id IN (SELECT {msg.producer_id} FROM msg WHERE enabled = true))",
        "all": "SELECT * FROM msg_anag WHERE kind = 1",
    },
    mentions=(SALES,),
)
