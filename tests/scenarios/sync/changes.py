"""Changes of every kind in the S9 of a small trade."""

from __future__ import annotations

from tests.conftest import S9Database
from tests.support.operators.operator import insert, line, party, sale


def change_everything(s9: S9Database) -> None:
    """A sale gets other notes, a line goes, one moves, one comes; a sale and its buyer go, another
    buyer changes, whose sales have a copy of him; there are a new buyer and a new sale, the last of
    its year."""
    s9.execute("UPDATE msg SET notes = 'urgente' WHERE first_id = 10")
    s9.execute("DELETE FROM msg_line WHERE id = 2")
    s9.execute("UPDATE msg_line SET msg_id = 10, line_number = 9 WHERE id = 5")
    s9.execute("DELETE FROM msg_line WHERE msg_id = 13")
    s9.execute("DELETE FROM msg WHERE first_id = 13")
    s9.execute("UPDATE msg_anag SET enabled = false WHERE first_id = 4")
    s9.execute("UPDATE msg_anag SET name = 'Officina Nuova srl' WHERE first_id = 1")
    insert(s9, "msg_anag", party(5, 2))
    insert(s9, "msg", sale(14, 5, 3))
    insert(s9, "msg_line", line(8, 14), line(9, 10))
