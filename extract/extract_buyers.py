"""Buyers in S9: parties of kind 2 or 3."""

from extract.declaration import Entity
from extract.s9_tables import BUYERS_QUERY, ENABLED, IS_BUYER, PARTIES, SALES

BUYERS = Entity(
    name="buyers",
    table=PARTIES,
    queries={
        "exclude": "SELECT * FROM msg_anag WHERE kind IN (2, 3) AND enabled = true",
        "referenced": "SELECT * FROM msg_anag WHERE kind IN (2, 3) AND (enabled = true "
        "OR first_id IN (SELECT {msg.buyer_id} FROM msg WHERE enabled = true))",
        "all": BUYERS_QUERY,
    },
    mentions=(SALES,),
    criteria=(IS_BUYER, ENABLED),
)
