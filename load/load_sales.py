"""Sales and their lines in the target: the table, its keys and indexes.

The index names do not describe what is in them (the status is in "QueryByBuyer", the buyer in
"QueryByProducer", the producer in "QueryByStatus"); they are what the Sale Module's API asks for.
"""

from utils.dynamodb.table_spec import Index, TableSpec

TABLE = TableSpec(
    entity="sales",
    indexes=(
        Index("GSI1-QueryByBuyer", "GSI1PK", "GSI1SK"),
        Index("GSI2-QueryByProducer", "GSI2PK", "GSI2SK"),
        Index("GSI3-QueryByStatus", "GSI3PK", "GSI3SK"),
        Index("GSI4-QueryByDate", "GSI4PK", "GSI4SK"),
    ),
)
