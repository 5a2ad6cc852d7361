"""What a table still holds when what a load has made is deleted: as a rule next to nothing. One
scan shows it, where a Query for each of the deleted records would find nothing a million times.
"""

from __future__ import annotations

from load.rollback.key_set import KeySet
from utils.dynamodb.backoff import RetryPolicy
from utils.dynamodb.client import DynamoDB
from utils.dynamodb.table_reader import PAGE_ITEMS, TableReader
from utils.dynamodb.table_spec import PARTITION_KEY, SORT_KEY
from utils.run.run import Run


def left_over(run: Run, table: str, *, most: int) -> KeySet | None:
    """The partition keys under which a table holds anything now (strongly consistent); None when
    that is more than `most` items, of which no more are read.

    Raises TargetError, and Interrupted when a stop is asked for.
    """
    retry = RetryPolicy.of(run.config.migration, run.stop.sleep)
    reader = TableReader(DynamoDB(run.config.target), retry)
    keys = (PARTITION_KEY, SORT_KEY)
    request = {
        "TableName": table,
        "ConsistentRead": True,
        "ProjectionExpression": ", ".join(keys),
        "Limit": min(PAGE_ITEMS, most + 1),
    }
    found, count = KeySet(), 0
    for page in reader.pages("Scan", request, keys=keys, to_the_end=True):
        run.stop.leave_if_asked()
        count += len(page["Items"])
        if count > most:
            return None
        for item in page["Items"]:
            found.add(item[PARTITION_KEY]["S"])
    return found
