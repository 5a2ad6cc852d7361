"""The tables of the entities, in the order of the load: parties before sales."""

from load import load_buyers, load_producers, load_sales
from utils.dynamodb.table_spec import TableSpec

TABLES: dict[str, TableSpec] = {
    module.TABLE.entity: module.TABLE for module in (load_buyers, load_producers, load_sales)
}
