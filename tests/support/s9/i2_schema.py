"""The four tables of layout i2_speedex, declared once in MySQL's types, for either database.

Names, types, defaults and what may not be NULL are those of S9's documentation.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

Dialect = Literal["mysql", "postgresql"]

# MySQL's types in PostgreSQL's words; all others are the same in both.
_POSTGRESQL = (
    (r"int unsigned", "bigint"),
    (r"tinyint", "smallint"),
    (r"dec\b", "numeric"),
    (r"datetime", "timestamp without time zone"),
    (r"enum\('yes'\)", "varchar(3) CHECK (automotive = 'yes')"),
)


@dataclass(frozen=True)
class Table:
    """A table: its columns by name, each with its type and its constraints in MySQL's words."""

    name: str
    columns: dict[str, str]
    index: str = ""

    def create_statements(self, dialect: Dialect) -> list[str]:
        """The statements that make the table in a database of this kind."""
        columns = ",\n".join(
            f"    {name} {_in(dialect, declared)}" for name, declared in self.columns.items()
        )
        table = f"CREATE TABLE {self.name} (\n{columns},\n    PRIMARY KEY (id)\n)"
        if dialect == "mysql":
            table += " DEFAULT CHARACTER SET utf8mb4"
        index = f"CREATE INDEX {self.name}_{self.index} ON {self.name} ({self.index})"
        return [table, index] if self.index else [table]


def _in(dialect: Dialect, declared: str) -> str:
    if dialect == "postgresql":
        for pattern, words in _POSTGRESQL:
            declared = re.sub(pattern, words, declared)
    return declared


def _columns(declaration: str) -> dict[str, str]:
    """Columns from text: "type: name name…" on each line; in a type, ! is NOT NULL."""
    columns = {}
    for line in declaration.strip().splitlines():
        declared, _, names = line.strip().partition(": ")
        for name in names.split():
            columns[name] = declared.replace("!", " NOT NULL")
    return columns


SALES = Table(
    "sales",
    _columns("""
        int!: id
        int unsigned: number
        int: year
        char(32): status
        int: buyer_id producer_id reg_date
        date: reg_date_input
        varchar(16): code
        varchar(128): name
        char(3): country
        char(3) DEFAULT 'EUR': currency
        int DEFAULT 22: vat_perc
        int: vat_on
        int!: tax_on
        text: vat_off
        dec(34,2): amount
        dec(45,2): eur_amount
        dec(49,2): vat
        dec(48,2): tax
        dec(37,2): total
        dec(50,2): to_pay
        dec(52,2): pay_load eur_pay_load
        int: stamp
        varchar(16): buyer_ue
        varchar(64): buyer_ref
        varchar(255): pag
        varchar(16): payment bank_id
        varchar(255): payment_bank payment_bank_iban
        int: payment_date
        text: payment_note package delivery
        varchar(64): dn_number dn_number2 dn_number3
        int: dn_date dn_date2 dn_date3
        varchar(255): po_number
        int: po_date
        varchar(255): cup_contract_id cig_contract_id
        text: sale_note note attachs
        int: invoice_attach
        tinyint DEFAULT 12: font_base
    """),
)
SALE_LINES = Table(
    "sale_lines",
    _columns("""
        int unsigned!: id sale_id
        int!: pos
        varchar(64): code
        varchar(255): description
        int: qty
        dec(18,6): price
        dec(6,4): discount vat
        varchar(16): vat_off
        varchar(255): vat_off_desc shipping lfz
        int: import_id test
        varchar(128): standard
        varchar(64): strength drive length
        varchar(255): finish sorting certificate
    """),
    index="sale_id",
)
BUYERS = Table(
    "buyers",
    _columns("""
        int unsigned!: id
        char(16) DEFAULT 'new': status
        varchar(32)! UNIQUE: code
        varchar(150): name
        varchar(64): sub_name
        char(3): country
        varchar(64): prov
        varchar(128): address
        char(16): zip
        varchar(64): city box
        text: note
        varchar(32): vat taxid
        char(16): vatoff
        varchar(8): sdi_code
        varchar(64): tel fax email
        varchar(32): email_domain
        varchar(64): pec web
        varchar(128): contact
        char(3)!: currency
        smallint: operator_id
        varchar(64): industrial_group
        char(32): sector
        char(2): lang
        varchar(128): payment
        varchar(255): bank
        text: ship
        datetime: new_date
        varchar(16): ue
    """),
)
PRODUCERS = Table(
    "producers",
    _columns("""
        int!: id
        char(16): status
        varchar(16)! UNIQUE: code
        varchar(128): name
        varchar(64): sub_name
        varchar(128): address
        varchar(255): city prov
        varchar(64): box
        varchar(128): zip
        char(3) DEFAULT 'ITA': country
        dec(4,2): revenue
        text: note
        varchar(64): vat
        varchar(8): sdi_code
        varchar(64): contact
        char(2): lang
        smallint: operator_id
        varchar(64): tel fax
        text: banks
        int: ue
        text: vat_off
        char(12): commission_invoice
        varchar(64): commission_bank
        datetime: new_date
        varchar(64): web
        varchar(255): email
        varchar(128): pec
        varchar(32): quality_assurance
        varchar(64): production_area
        enum('yes'): automotive
        varchar(64): markets
        varchar(128): materials
        text: products standard_products diameter_range max_length
        varchar(32): quantity
    """),
)
TABLES = (BUYERS, PRODUCERS, SALES, SALE_LINES)


def create_tables(connection: Any, dialect: Dialect) -> None:
    """Create the tables, empty, on an open DB-API connection of that kind of database; commits."""
    cursor = connection.cursor()
    for table in TABLES:
        for statement in table.create_statements(dialect):
            cursor.execute(statement)
    cursor.close()
    connection.commit()
