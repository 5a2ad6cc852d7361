"""S9 for the bench: PostgreSQL makes up its own rows, so that any size is there in seconds.

Clean rows, alike in size and in what is filled to those of the demonstration: a sale is about
2,000 bytes of DynamoDB JSON, a line 750, and a sale has three lines on average.
"""

from __future__ import annotations

from dataclasses import dataclass

import psycopg2.extensions

from utils.demo.sample.schema import create_tables

_FUNCTIONS = """
CREATE FUNCTION pick(n bigint, VARIADIC words text[]) RETURNS text LANGUAGE sql IMMUTABLE AS
    $$ SELECT words[1 + mod(n, array_length(words, 1))] $$;
-- An Italian VAT number: seven digits of the company, three of the office, Luhn's check digit.
CREATE FUNCTION vat_number(n bigint) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT base || mod(10 - mod(sum(CASE WHEN mod(place, 2) = 1 THEN digit
                                    ELSE mod(digit * 2, 10) + digit * 2 / 10 END), 10), 10)
    FROM (SELECT lpad((5000000 + n)::text, 7, '0') || '015' AS base) AS b,
         LATERAL (SELECT place, substr(base, place, 1)::int AS digit
                  FROM generate_series(1, 10) AS place) AS d
    GROUP BY base
$$
"""

_PARTIES = """
INSERT INTO msg_anag (
    first_id, kind, enabled, code, name, vat_number, fiscal_code, sdi_code, pec, address, city,
    province, postal_code, country, email, phone, website, notes, preferred_language,
    default_operator, created_at, updated_at, created_by, updated_by, payment_method,
    payment_terms, currency, vat_exempt, sector, revenue_percentage, production_area, products,
    quantity)
SELECT n, CASE WHEN n <= %(buyers)s THEN 2 ELSE 1 END, true, 'C' || lpad(n::text, 6, '0'),
    pick(n, 'Officine', 'Bulloneria', 'Carpenteria', 'Impianti', 'Acciai') || ' '
        || initcap(substr(md5(n::text), 1, 10)) || ' S.r.l.',
    'IT' || vat_number(n), vat_number(n), upper(substr(md5(n::text), 1, 7)),
    'ditta' || n || '@pec.example.com', 'Via dell''Industria ' || mod(n, 200),
    pick(n, 'Forlì', 'Lecco', 'Brescia', 'Sant''Angelo'), pick(n, 'FC', 'LC', 'BS', 'LO'),
    pick(n, '47121', '23900', '25121', '26866'), 'IT', 'ordini@ditta' || n || '.example.com',
    '051 555' || lpad(mod(n, 10000)::text, 4, '0'),
    CASE WHEN mod(n, 5) < 2 THEN 'https://www.ditta' || n || '.example.com' END,
    CASE WHEN mod(n, 3) = 0 THEN 'Cliente storico' END, 'it', pick(n, 'mrossi', 'gbianchi'),
    timestamp '2015-02-03 10:11:12.5' + n * interval '37 minutes',
    timestamp '2024-02-03 10:11:12' + n * interval '3 minutes',
    pick(n, 'mrossi', 'import'), 'gbianchi', pick(n, 'bonifico', 'riba'), '30 gg d.f.', 'EUR',
    'standard', pick(n, 'construction', 'energy', 'other'), mod(n, 2000)::numeric / 100,
    'Nord Italia', 'viti, bulloni, tiranti', pick(n, 'any', 'small', 'large')
FROM generate_series(1::bigint, %(buyers)s + %(producers)s) AS n
"""

_LINES = """
INSERT INTO msg_line (
    id, msg_id, line_number, product_code, product_description, quantity, unit_price, discount,
    discount_amount, net_amount, tax_amount, total_amount, tax_rate, unit_of_measure, created_at,
    updated_at)
SELECT id, sale, number, 'ART-' || lpad(mod(id * 31, 10000)::text, 4, '0'),
    pick(id, 'Vite TE DIN 933 M', 'Dado esagonale M', 'Barra filettata M', 'Lavorazione n. ')
        || mod(id * 17, 3000) || ' zincata',
    quantity, price, discount,
    CASE WHEN priced THEN round(worth * rate, 2) END,
    CASE WHEN priced THEN round(worth * (1 - rate), 2) END,
    CASE WHEN priced THEN round(worth * (1 - rate) * 0.22, 2) END,
    CASE WHEN priced THEN round(worth * (1 - rate) * 1.22, 2) END,
    CASE WHEN mod(id, 3) > 0 THEN 22 END, pick(id, 'pz', 'kg', 'm', 'conf'), created, created
FROM (
    SELECT *, quantity * price AS worth, coalesce(discount, 0) / 100 AS rate,
        mod(sale, 5) < 3 AS priced,
        timestamp '2015-01-08 08:09:10' + sale * 4000 / %(sales)s * interval '1 day'
            + id * interval '0.613 seconds' AS created
    FROM (
        SELECT *, (ARRAY[NULL, NULL, NULL, 0, 5, 10, 12.5, 33.3333])[1 + mod(id, 8)] AS discount,
            (CASE WHEN mod(id, 5) = 0 THEN mod(id * 37, 99999) + 1
             ELSE (mod(id * 37, 499) + 1) * 1000 END)::numeric / 1000 AS quantity,
            (500 + mod(id * 7919, 199500))::numeric / 100 AS price
        FROM (
            SELECT sale, number, row_number() OVER (ORDER BY sale, number) AS id
            FROM generate_series(1::bigint, %(sales)s) AS sale,
                generate_series(1::bigint, %(fold)s * (1 + mod(sale * 7, 5))) AS number
        ) AS counted
    ) AS valued
) AS written
"""

_SALES = """
INSERT INTO msg (
    first_id, enabled, sale_number, reg_number, doc_type, sale_date, buyer_id, buyer_name,
    producer_id, producer_name, subtotal, tax_amount, total, payment_method, payment_terms,
    delivery_method, delivery_date, payment_date, dn_date, registration_date, notes,
    internal_notes, package, po_number, dn_number, invoice_number, iva_percentage, currency,
    status, invoice_generated, number_t, year, created_at, updated_at, created_by, updated_by)
SELECT n, true, number, number || '/' || year, CASE WHEN mod(n, 2) = 0 THEN 'invoice' END, day,
    b.first_id, b.name, p.first_id, p.name, l.net, l.tax, l.total, pick(n, 'bonifico', 'riba'),
    pick(n, '30 gg d.f.', '60 gg d.f.f.m.', 'anticipato'), pick(n, 'porto franco', 'ritiro'),
    day + 3, CASE WHEN mod(n, 20) > 5 THEN day + 60 END,
    CASE WHEN mod(n, 5) < 2 THEN day + 2 END, day + 1,
    CASE WHEN mod(n, 4) = 0 THEN 'Consegna entro le ore 12.' END,
    CASE WHEN mod(n, 10) = 0 THEN 'prezzo concordato con l''agente' END,
    CASE WHEN mod(n, 3) = 0 THEN 'bancale' END, CASE WHEN mod(n, 3) = 0 THEN 'ODA ' || n END,
    CASE WHEN mod(n, 5) < 2 THEN 'DDT ' || n END,
    CASE WHEN mod(n, 20) > 2 THEN number || '/' || year END, 22, 'EUR',
    CASE mod(n, 20) WHEN 0 THEN 'bozza' WHEN 1 THEN 'confermato' WHEN 2 THEN 'annullato'
        WHEN 3 THEN 'fatturato' WHEN 4 THEN 'fatturato' WHEN 5 THEN 'sent' ELSE 'pagato' END,
    mod(n, 20) > 2, number, year,
    day + time '08:00' + mod(n * 7919, 36000) * interval '1.01 second',
    day + 5 + time '08:00' + mod(n * 6007, 36000) * interval '1 second',
    pick(n, 'mrossi', 'import'), pick(n, 'gbianchi', 'mrossi', NULL)
FROM (
    SELECT *, row_number() OVER (PARTITION BY year ORDER BY n) AS number
    FROM (
        SELECT n, date '2015-01-08' + (n * 4000 / %(sales)s)::int AS day,
            extract(year FROM date '2015-01-08' + (n * 4000 / %(sales)s)::int)::int AS year
        FROM generate_series(1::bigint, %(sales)s) AS n
    ) AS dated
) AS s
JOIN msg_anag AS b ON b.first_id = 1 + mod(n * 13, %(buyers)s)
JOIN msg_anag AS p ON p.first_id = 1 + %(buyers)s + mod(n * 7, %(producers)s)
JOIN (
    SELECT msg_id, sum(round(net, 2)) AS net, sum(round(net * 0.22, 2)) AS tax,
        sum(round(net * 1.22, 2)) AS total
    FROM (SELECT msg_id, quantity * unit_price * (1 - coalesce(discount, 0) / 100) AS net
          FROM msg_line) AS worth
    GROUP BY msg_id
) AS l ON l.msg_id = n
ORDER BY n
"""


@dataclass(frozen=True)
class Size:
    """How much there is in S9: so many sales, each with three times `fold` lines on average."""

    sales: int
    fold: int = 1

    @property
    def buyers(self) -> int:
        return max(2, self.sales * 8 // 100)

    @property
    def producers(self) -> int:
        return max(2, self.sales * 3 // 100)


def fill(connection: psycopg2.extensions.connection, size: Size) -> None:
    """Create S9's tables in an empty database, fill and analyze them, and commit."""
    values = {
        "sales": size.sales,
        "fold": size.fold,
        "buyers": size.buyers,
        "producers": size.producers,
    }
    create_tables(connection)
    with connection.cursor() as cursor:
        cursor.execute(_FUNCTIONS)
        for statement in (_PARTIES, _LINES, _SALES):
            cursor.execute(statement, values)
        cursor.execute("ANALYZE")
    connection.commit()
