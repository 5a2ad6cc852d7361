"""Sales in S9: headers with their lines and copies of their two parties."""

from extract.declaration import Children, Copy, Entity
from extract.s9_tables import LINES, PARTIES, PARTY_COPY, SALES

_QUERY = "SELECT * FROM msg WHERE enabled = true"

SALES_WITH_LINES = Entity(
    name="sales",
    table=SALES,
    queries={"exclude": _QUERY, "referenced": _QUERY, "all": _QUERY},
    copies=(
        Copy("buyer", reference="buyer_id", table=PARTIES, columns=PARTY_COPY),
        Copy("producer", reference="producer_id", table=PARTIES, columns=PARTY_COPY),
    ),
    children=Children("lines", LINES, parent="msg_id", order=("line_number", "id")),
)
