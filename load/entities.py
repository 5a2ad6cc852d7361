"""The tables of the entities, in the order of the load: what a record names comes before it."""

from collections.abc import Mapping

from load import load_buyers, load_producers, load_sales
from utils.dynamodb.table_spec import TableSpec
from utils.entities import ENTITY_NAMES, part_of

_DECLARED = {
    module.TABLE.entity: module.TABLE for module in (load_buyers, load_producers, load_sales)
}
TABLES: Mapping[str, TableSpec] = {
    name: part_of(_DECLARED, name, "load/entities.py") for name in ENTITY_NAMES
}
