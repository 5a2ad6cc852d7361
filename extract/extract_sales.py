"""Sales in S9: headers with their lines and copies of their two parties."""

from extract.declaration import Children, Copy, Entity
from extract.s9_tables import (
    BUYERS_QUERY,
    ENABLED,
    LINES,
    PARTIES,
    PARTY_COPY,
    PRODUCERS_QUERY,
    SALES,
)

_QUERY = "SELECT * FROM msg WHERE enabled = true"

SALES_WITH_LINES = Entity(
    name="sales",
    table=SALES,
    queries={"exclude": _QUERY, "referenced": _QUERY, "all": _QUERY},
    copies=(
        Copy("buyer", "buyer_id", PARTIES, PARTY_COPY, BUYERS_QUERY, of="buyers"),
        Copy("producer", "producer_id", PARTIES, PARTY_COPY, PRODUCERS_QUERY, of="producers"),
    ),
    children=Children("lines", LINES, parent="msg_id", order=("line_number", "id")),
    criteria=(ENABLED,),
)
