"""What is kept of a record that has been checked, to compare it with others."""

from __future__ import annotations

from typing import NamedTuple


class Facts(NamedTuple):
    """What other records are compared with: one for each record, in order.

    `key` is the record's PK, "" when it has errors and takes no part in comparisons;
    `references` are the (attribute, id) of the records it names, `shared` the (rule, value) of
    what it should share with no other record. `identity` is the PK also of one with errors, if
    others may name it.
    """

    legacy_id: str
    items: int
    key: str = ""
    references: tuple[tuple[str, str], ...] = ()
    shared: tuple[tuple[str, str], ...] = ()
    identity: str = ""
