-- Northwind as it comes in its CSV files, and S9's three tables as views over it.

CREATE TABLE nw_customers (
    customer_id text PRIMARY KEY, company_name text, contact_name text, contact_title text,
    address text, city text, region text, postal_code text, country text, phone text, fax text
);
CREATE TABLE nw_suppliers (
    supplier_id integer PRIMARY KEY, company_name text, contact_name text, contact_title text,
    address text, city text, region text, postal_code text, country text, phone text, fax text,
    homepage text
);
CREATE TABLE nw_employees (
    employee_id integer PRIMARY KEY, last_name text, first_name text, title text
);
CREATE TABLE nw_shippers (shipper_id integer PRIMARY KEY, company_name text, phone text);
CREATE TABLE nw_products (
    product_id integer PRIMARY KEY, product_name text, supplier_id integer, category_id integer,
    quantity_per_unit text, unit_price numeric, units_in_stock integer, units_on_order integer,
    reorder_level integer, discontinued integer
);
CREATE TABLE nw_orders (
    order_id integer PRIMARY KEY, customer_id text, employee_id integer, order_date date,
    required_date date, shipped_date date, ship_via integer, freight numeric, ship_name text,
    ship_address text, ship_city text, ship_region text, ship_postal_code text, ship_country text
);
CREATE TABLE nw_order_details (
    order_id integer, product_id integer, unit_price numeric, quantity integer, discount numeric,
    PRIMARY KEY (order_id, product_id)
);

-- Countries by name. Some become alpha-2, some alpha-3, as in S9. Venezuela is left out: whoever
-- set this up forgot it, and its name is passed on.
CREATE TABLE nw_countries (name text PRIMARY KEY, code text);
INSERT INTO nw_countries VALUES
    ('Argentina', 'AR'), ('Australia', 'AUS'), ('Austria', 'AUT'), ('Belgium', 'BE'),
    ('Brazil', 'BRA'), ('Canada', 'CA'), ('Denmark', 'DK'), ('Finland', 'FIN'), ('France', 'FR'),
    ('Germany', 'DEU'), ('Ireland', 'IE'), ('Italy', ''), ('Japan', 'JPN'), ('Mexico', 'MX'),
    ('Netherlands', 'NL'), ('Norway', 'no'), ('Poland', 'POL'), ('Portugal', 'PT'),
    ('Singapore', 'SGP'), ('Spain', 'ES'), ('Sweden', 'SE'), ('Switzerland', 'CHE'), ('UK', 'GB'),
    ('USA', 'USA');

CREATE VIEW nw_customer_keys AS
SELECT customer_id, 1000 + row_number() OVER (ORDER BY customer_id COLLATE "C") AS first_id
FROM nw_customers;

CREATE VIEW msg_anag AS
SELECT
    k.first_id::bigint AS first_id, 2 AS kind, true AS enabled, c.customer_id AS code,
    c.company_name AS name, c.contact_name AS main_contact, c.address, c.city,
    c.region AS province, c.postal_code, coalesce(n.code, c.country) AS country, c.phone, c.fax,
    NULL::text AS website
FROM nw_customers c
JOIN nw_customer_keys k USING (customer_id)
LEFT JOIN nw_countries n ON n.name = c.country
UNION ALL
SELECT
    s.supplier_id, 1, true, NULL, s.company_name, s.contact_name, s.address, s.city, s.region,
    s.postal_code, coalesce(n.code, s.country), s.phone, s.fax, s.homepage
FROM nw_suppliers s
LEFT JOIN nw_countries n ON n.name = s.country;

-- An order with products of several suppliers is as many sales.
CREATE VIEW msg AS
SELECT
    (o.order_id * 100 + s.supplier_id)::bigint AS first_id,
    true AS enabled,
    row_number() OVER (
        PARTITION BY extract(year FROM o.order_date) ORDER BY o.order_id, s.supplier_id
    )::integer AS sale_number,
    'invoice' AS doc_type,
    o.order_date AS sale_date,
    k.first_id AS buyer_id,
    o.ship_name AS buyer_name,
    s.supplier_id::bigint AS producer_id,
    NULL::numeric(18,2) AS subtotal,
    NULL::numeric(18,2) AS tax_amount,
    NULL::numeric(18,2) AS total,
    h.company_name AS delivery_method,
    o.shipped_date AS delivery_date,
    o.order_id::text AS po_number,
    o.order_date AS po_date,
    concat_ws(', ', o.ship_address, o.ship_city, o.ship_region, o.ship_postal_code,
        o.ship_country) AS delivery_note,
    CASE WHEN o.ship_country = 'Italy' THEN 22.00 ELSE 0.00 END::numeric(6,2) AS iva_percentage,
    'USD'::char(3) AS currency,
    -- What is late has a status of its own, which nobody has told the migration about.
    CASE
        WHEN o.shipped_date IS NOT NULL THEN 'FATTURATO '
        WHEN o.required_date <= (SELECT max(order_date) FROM nw_orders) THEN 'in ritardo'
        ELSE 'Confermato'
    END AS status,
    o.shipped_date IS NOT NULL AS invoice_generated,
    o.order_date + time '10:15' AS created_at,
    o.shipped_date + time '18:30' AS updated_at,
    lower(e.last_name) AS created_by,
    o.freight AS nolo
FROM nw_orders o
JOIN (
    SELECT DISTINCT d.order_id, p.supplier_id
    FROM nw_order_details d JOIN nw_products p USING (product_id)
) s USING (order_id)
JOIN nw_customer_keys k USING (customer_id)
JOIN nw_employees e USING (employee_id)
LEFT JOIN nw_shippers h ON h.shipper_id = o.ship_via;

-- The lines go by their Italian names.
CREATE VIEW msg_line AS
SELECT
    (d.order_id * 100 + d.product_id)::bigint AS first_id,
    (d.order_id * 100 + p.supplier_id)::bigint AS msg_id,
    row_number() OVER (
        PARTITION BY d.order_id, p.supplier_id ORDER BY d.product_id
    )::integer AS riga,
    d.product_id::text AS codice,
    p.product_name AS descrizione,
    d.quantity::numeric(18,3) AS quantita,
    d.unit_price::numeric(18,6) AS prezzo,
    (d.discount * 100)::numeric(8,4) AS sconto,
    NULL::numeric(18,4) AS importo_sconto,
    NULL::numeric(18,4) AS imponibile,
    NULL::numeric(18,4) AS iva,
    NULL::numeric(18,4) AS totale,
    NULL::numeric(6,2) AS aliquota_iva,
    p.quantity_per_unit AS um
FROM nw_order_details d
JOIN nw_products p USING (product_id);
