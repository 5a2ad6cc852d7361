"""The tables of the entities, in the order of the load: parties before sales."""

from utils.tables import TableSpec

from load import load_buyers, load_producers, load_sales

TABLES: dict[str, TableSpec] = {
    module.TABLE.entity: module.TABLE for module in (load_buyers, load_producers, load_sales)
}
