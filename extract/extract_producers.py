"""Producers in S9: parties of kind 1."""

from extract.declaration import Entity
from extract.s9_tables import ENABLED, IS_PRODUCER, PARTIES, PRODUCERS_QUERY, SALES

PRODUCERS = Entity(
    name="producers",
    table=PARTIES,
    queries={
        "exclude": "SELECT * FROM msg_anag WHERE kind = 1 AND enabled = true",
        "referenced": "SELECT * FROM msg_anag WHERE kind = 1 AND (enabled = true "
        "OR first_id IN (SELECT {msg.producer_id} FROM msg WHERE enabled = true))",
        "all": PRODUCERS_QUERY,
    },
    mentions=(SALES,),
    criteria=(IS_PRODUCER, ENABLED),
)
