"""Buyers in the target: the table, its keys and indexes.

The index names do not describe what is in them; they are what the Sale Module's API asks for.
"""

from utils.dynamodb.table_spec import Index, TableSpec

TABLE = TableSpec(
    entity="buyers",
    indexes=(
        Index("GSI1-QueryByCode", "GSI1PK", "GSI1SK"),
        Index("GSI2-QueryByStatus", "GSI2PK", "GSI2SK"),
    ),
)
