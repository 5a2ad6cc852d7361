"""An S9 of any size that nobody finds fault with."""

from __future__ import annotations

from tests.conftest import S9Database

BUYERS, PRODUCERS, LINES = 20, 10, 2
_FIRST_PRODUCER = 1001
_PARTIES = """
INSERT INTO msg_anag (first_id, kind, enabled, name, city, country, created_at, updated_at)
SELECT n, %s, true, 'Officina ' || n || ' srl', 'Brescia', 'IT',
       timestamp '2024-03-01 10:00', timestamp '2024-03-02 11:30'
FROM generate_series(%s, %s) AS n
"""
_SALES = """
INSERT INTO msg (first_id, enabled, sale_number, sale_date, buyer_id, producer_id, status,
                 internal_notes, created_at, updated_at)
SELECT n, true, n, date '2024-05-17', 1 + n %% %s, %s + n %% %s, 'confermato',
       rpad('nota', %s, ' x'), timestamp '2024-05-17 09:00', timestamp '2024-05-17 09:00'
FROM generate_series(1, %s) AS n
"""
_LINES = """
INSERT INTO msg_line (id, msg_id, line_number, product_description, quantity, unit_price)
SELECT %s * m.first_id + l, m.first_id, l, 'Vite M' || l, 2, 10.50
FROM msg AS m, generate_series(1, %s) AS l
"""


def many_sales(s9: S9Database, count: int, *, note: int = 4) -> None:
    """Fill S9: 20 buyers, 10 producers, `count` sales of two lines, with notes of `note`
    characters (no more than 1,000 can be migrated)."""
    s9.execute(_PARTIES, 2, 1, BUYERS)
    s9.execute(_PARTIES, 1, _FIRST_PRODUCER, _FIRST_PRODUCER + PRODUCERS - 1)
    s9.execute(_SALES, BUYERS, _FIRST_PRODUCER, PRODUCERS, note, count)
    s9.execute(_LINES, LINES + 1, LINES)
