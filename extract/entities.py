"""The entities that are extracted, in the order of the migration: a sale needs its parties."""

from extract.declaration import Entity
from extract.extract_buyers import BUYERS
from extract.extract_producers import PRODUCERS
from extract.extract_sales import SALES_WITH_LINES

ENTITIES: dict[str, Entity] = {
    entity.name: entity for entity in (BUYERS, PRODUCERS, SALES_WITH_LINES)
}
