"""The tables of the entities, in the order of the load: what a record names comes before it.

The table of an entity is TABLE in its module `load_{entity}`, beside this one.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module

from utils.dynamodb.table_spec import TableSpec
from utils.entities import ENTITY_NAMES, Undeclared


def _table_of(entity: str) -> TableSpec:
    module = f"load.load_{entity}"
    try:
        table: TableSpec = import_module(module).TABLE
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        raise Undeclared(
            f"load/ has no module load_{entity}.py, which says what the table of {entity} is",
            remedy="add one with a TABLE: docs/architecture.md (How to add an entity)",
        ) from None
    return table


TABLES: Mapping[str, TableSpec] = {name: _table_of(name) for name in ENTITY_NAMES}
