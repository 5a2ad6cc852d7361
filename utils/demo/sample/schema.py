"""S9's three tables (layout s9), declared once, under English or Italian names.

Types and names are those of S9's documentation, for PostgreSQL; where it gives no length for a
text, 255. On MySQL every type has its counterpart.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import psycopg2.extensions
from pymysql.connections import Connection

AnyConnection: TypeAlias = "psycopg2.extensions.connection | Connection[Any]"
Names = Literal["english", "italian"]
Database = Literal["postgresql", "mysql"]
_ON_MYSQL = {
    "boolean": "tinyint(1)",
    "timestamp without time zone": "datetime(6)",
    "integer": "int",
}


@dataclass(frozen=True)
class Column:
    """A column: its canonical name, its type, and the name it has in Italian installations."""

    name: str
    type: str
    italian: str

    def named(self, names: Names) -> str:
        """The name in an installation of this kind."""
        return self.name if names == "english" else self.italian

    def typed(self, database: Database) -> str:
        """The type on a database."""
        return _ON_MYSQL.get(self.type, self.type) if database == "mysql" else self.type


@dataclass(frozen=True)
class Table:
    """A table. The first column is the primary key."""

    name: str
    columns: tuple[Column, ...]
    index: str = ""

    def create_statements(self, names: Names, database: Database = "postgresql") -> list[str]:
        """The CREATE TABLE statement, and that of the index if there is one."""
        columns = ",\n".join(
            f"    {column.named(names)} {column.typed(database)}" for column in self.columns
        )
        key = self.columns[0].named(names)
        statements = [f"CREATE TABLE {self.name} (\n{columns},\n    PRIMARY KEY ({key})\n)"]
        if self.index:
            statements.append(
                f"CREATE INDEX {self.name}_{self.index} ON {self.name} ({self.index})"
            )
        return statements


def _columns(declaration: str) -> tuple[Column, ...]:
    # One column a line: name, "/ Italian name" where it has one, type.
    columns = []
    for line in declaration.strip().splitlines():
        name, _, rest = line.strip().partition(" ")
        italian = name
        if rest.startswith("/ "):
            italian, _, rest = rest[2:].partition(" ")
        columns.append(Column(name, rest.strip(), italian))
    return tuple(columns)


MSG_ANAG = Table(
    "msg_anag",
    _columns("""
        first_id bigint
        kind integer
        enabled boolean
        code varchar(32)
        name / ragione_sociale varchar(150)
        sub_name / indirizzo2 varchar(64)
        vat_number / piva varchar(32)
        fiscal_code / cod_fiscale varchar(32)
        sdi_code / sdi varchar(8)
        pec varchar(128)
        address / indirizzo varchar(128)
        po_box / casella_postale varchar(64)
        city / citta varchar(255)
        province / provincia varchar(255)
        postal_code / cap varchar(128)
        country / nazione varchar(3)
        email varchar(255)
        phone / telefono varchar(255)
        fax varchar(255)
        website / sito_web varchar(255)
        main_contact / referente varchar(255)
        notes / note text
        bank_details / banca text
        preferred_language / lingua char(2)
        default_operator / operatore varchar(64)
        created_at timestamp without time zone
        updated_at timestamp without time zone
        created_by varchar(64)
        updated_by varchar(64)
        payment_method / pagamento varchar(255)
        payment_terms / condizioni_pagamento varchar(255)
        currency / valuta varchar(255)
        vat_exempt / esenzione_iva varchar(255)
        industrial_group / gruppo varchar(255)
        sector / settore varchar(255)
        revenue_percentage / percentuale numeric(5,2)
        quality_assurance / certificazioni text
        production_area / area_produzione text
        markets / mercati text
        materials / materiali text
        products / prodotti text
        standard_products / prodotti_standard text
        diameter_range / gamma_diametri text
        max_length / lunghezza_max text
        quantity / quantita text
    """),
)

MSG = Table(
    "msg",
    _columns("""
        first_id / id bigint
        enabled boolean
        sale_number / numero integer
        reg_number / numero_reg varchar(32)
        doc_type / tipo_doc varchar(16)
        sale_date / data date
        buyer_id / cliente_id bigint
        buyer_name / cliente varchar(150)
        producer_id / fornitore_id bigint
        producer_name / fornitore varchar(150)
        subtotal / imponibile numeric(18,2)
        tax_amount / iva numeric(18,2)
        total / totale numeric(18,2)
        payment_method / pagamento varchar(255)
        payment_terms / condizioni_pagamento varchar(255)
        delivery_method / spedizione varchar(255)
        delivery_date date
        po_date date
        payment_date date
        dn_date date
        dn_date2 date
        dn_date3 date
        registration_date date
        notes / note text
        internal_notes / note_interne text
        printed_note / nota_stampa text
        package / imballo text
        delivery_note / note_consegna text
        payment_note / nota_pagamento text
        reference_number / riferimento varchar(255)
        po_number / numero_ordine varchar(255)
        dn_number / ddt_numero varchar(255)
        dn_number2 / ddt_numero2 varchar(255)
        dn_number3 / ddt_numero3 varchar(255)
        pa_cup_number / cup varchar(255)
        pa_cig_number / cig varchar(255)
        bank / banca varchar(255)
        co_bank_description / banca_co varchar(255)
        co_bank_iban / iban_co varchar(255)
        vat_off / esente_iva varchar(255)
        invoice_number / numero_fattura varchar(255)
        iva_percentage / aliquota_iva numeric(6,2)
        currency / valuta char(3)
        status / stato varchar(32)
        invoice_generated / fattura_generata boolean
        number_t / numero_t integer
        year / anno integer
        created_at timestamp without time zone
        updated_at timestamp without time zone
        created_by varchar(64)
        updated_by varchar(64)
    """),
)

MSG_LINE = Table(
    "msg_line",
    _columns("""
        id / first_id bigint
        msg_id bigint
        line_number / riga integer
        product_code / codice varchar(64)
        product_description / descrizione varchar(255)
        quantity / quantita numeric(18,3)
        unit_price / prezzo numeric(18,6)
        discount / sconto numeric(8,4)
        discount_amount / importo_sconto numeric(18,4)
        net_amount / imponibile numeric(18,4)
        tax_amount / iva numeric(18,4)
        total_amount / totale numeric(18,4)
        tax_rate / aliquota_iva numeric(6,2)
        unit_of_measure / um varchar(16)
        notes / note varchar(500)
        created_at timestamp without time zone
        updated_at timestamp without time zone
    """),
    # Most installations have it, some do not: nothing may depend on it.
    index="msg_id",
)

TABLES = (MSG_ANAG, MSG, MSG_LINE)


def create_tables(connection: AnyConnection, names: Names = "english") -> None:
    """Create S9's tables in the connection's database and commit.

    "italian" takes the first Italian name wherever S9's documentation lists one.
    """
    database: Database = "mysql" if isinstance(connection, Connection) else "postgresql"
    with connection.cursor() as cursor:
        for table in TABLES:
            for statement in table.create_statements(names, database):
                cursor.execute(statement)
    connection.commit()
