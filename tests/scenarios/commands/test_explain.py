"""`explain`: one record through all stations, and a verdict that is verify's."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
from mypy_boto3_dynamodb import DynamoDBClient

from tests.conftest import S9Database, TableNames
from tests.scenarios.conftest import hire
from tests.support.application.application import LATER, Application
from tests.support.operators.operator import (
    IMPATIENT,
    Operator,
    insert,
    line,
    party,
    sale,
    small_trade,
)
from tests.support.operators.pseudo_terminal import on_a_terminal
from utils.embedded.aws import EmbeddedAws
from utils.files.encryption import new_identity
from utils.run.lock import run_lock

MARK = "Zanzibar"
ESCAPE = "\x1b[31mred\x1b[0m \u202eright to left"


def told(operator: Operator, entity: str, key: str, code: int, *more: str) -> dict[str, Any]:
    """What `explain --json` tells, with this exit code; looking changes nothing in the data
    directory."""
    before = state_of(operator.data)
    outcome = operator.run("explain", entity, key, "--json", *more).ended(code)
    assert state_of(operator.data) == before
    document: dict[str, Any] = orjson.loads(outcome.stdout)
    assert document["exitCode"] == code
    return document


def state_of(directory: Path) -> dict[str, tuple[int, int, int]]:
    """Every file with its inode, size and last change."""
    paths = [path for path in directory.rglob("*") if path.name != "events.jsonl"]
    stats = [(path, path.lstat()) for path in paths]
    return {str(path): (each.st_ino, each.st_size, each.st_mtime_ns) for path, each in stats}


def kind(document: Mapping[str, Any]) -> str:
    return str(document["verdict"]["kind"])


def states(document: Mapping[str, Any]) -> dict[str, str]:
    return {name: station["state"] for name, station in document["stations"].items()}


def head(operator: Operator, key: int, entity: str = "sales") -> dict[str, Any]:
    items = (each for each in operator.items(entity) if each["SK"]["S"] == "METADATA")
    return next(each for each in items if each["legacyId"]["S"] == str(key))


def trade(s9: S9Database) -> None:
    """Sales 20 to 30 with a line each, besides a small trade; one more is of a party that S9 does
    not have, one disabled."""
    small_trade(s9)
    insert(s9, "msg", *(sale(key, 1, 3) for key in range(20, 31)))
    insert(s9, "msg", sale(40, 1, 3, sale_number=7), sale(41, 1, 3, sale_number=7))
    insert(s9, "msg_line", *(line(key, key) for key in (*range(20, 31), 40, 41)))
    insert(s9, "msg", sale(50, 999, 3), sale(51, 1, 3, enabled=False))
    insert(s9, "msg_line", line(50, 50), line(51, 51))


def migrated(operator: Operator, s9: S9Database) -> Operator:
    trade(s9)
    operator.configure(load={"onConflict": "skip"})
    operator.run("--full").ended(5)
    return operator


def test_each_verdict(
    alone: Operator, s9: S9Database, tables: TableNames, dynamodb: DynamoDBClient
) -> None:
    migrated(alone, s9)
    application = Application(dynamodb, tables)
    application.change("sales", head(alone, 21), status={"S": "paid"})
    application.change("sales", head(alone, 22), deletedAt={"S": LATER})
    for item in (each for each in alone.items("sales") if each["PK"] == head(alone, 23)["PK"]):
        application.delete("sales", item)
    application.put("sales", {**head(alone, 24), "total": {"N": "1"}})
    application.change("sales", head(alone, 25), status={"S": "paid"})
    of_30 = [each for each in alone.items("sales") if each["PK"] == head(alone, 30)["PK"]]
    amounts = {"netAmount": {"N": "10"}, "taxAmount": {"N": "2"}, "totalAmount": {"N": "12"}}
    application.change("sales", of_30[1], **amounts)
    sums = {"subtotal": {"N": "10"}, "taxAmount": {"N": "2"}, "total": {"N": "12"}}
    application.put("sales", {**of_30[0], **sums})  # summed up again, and not signed
    s9.execute("UPDATE msg SET total = 120 WHERE first_id IN (25, 26)")
    s9.execute("DELETE FROM msg_line WHERE msg_id = 27")
    s9.execute("DELETE FROM msg WHERE first_id = 27")
    s9.execute("UPDATE msg SET enabled = false WHERE first_id = 28")
    s9.execute("UPDATE msg SET sale_date = NULL WHERE first_id = 29")
    insert(s9, "msg", sale(60, 1, 3))
    own = application.create("sales")

    cases = {
        "20": (0, "as-in-source", "Sale 20 is in the target as S9 has it"),
        "21": (0, "changed-by-application", f"The application changed sale 21 on {LATER}"),
        "22": (0, "deleted-by-application", f"The application deleted sale 22 on {LATER}"),
        "23": (4, "missing", "Sale 23 is missing from the target though it was loaded at 20"),
        "24": (4, "different", "Sale 24 differs in the target: total; nobody signed it"),
        "25": (4, "changed-on-both-sides", "S9 has changed sale 25 since the load"),
        "26": (4, "changed-in-source", "total was 25.62, is 120"),
        "27": (4, "removed-in-source", "S9 does not have sale 27 any more"),
        "28": (4, "removed-in-source", "S9 no longer selects sale 28 (disabled"),
        "29": (4, "changed-in-source", "as it is now it would be refused: sale_date is missing"),
        "30": (0, "changed-by-application", f"The application changed sale 30 on {LATER}"),
        "50": (5, "quarantined", "Sale 50 is in quarantine: "),
        "51": (0, "not-selected", "Sale 51 is not selected: disabled"),
        "60": (4, "new-in-source", "Sale 60 is new in S9 since the extract"),
        own["PK"]["S"]: (0, "of-the-application", "is the application's own"),
    }
    for key, (code, word, words) in cases.items():
        document = told(alone, "sales", key, code)
        assert kind(document) == word, document["verdict"]
        assert words in document["verdict"]["sentence"]
    assert told(alone, "buyers", "3", 0)["verdict"]["sentence"] == (
        "Buyer 3 is not selected: kind 1 (producers)"
    )
    # What verify says of the same tables is the same.
    alone.run("--phase", "verify").ended(4)
    found = str(alone.report("verification"))
    assert head(alone, 23)["PK"]["S"] in found
    assert head(alone, 24)["PK"]["S"] in found


def test_what_a_migration_has_never_written_is_found_by_the_key_that_it_bears(
    alone: Operator, s9: S9Database, tables: TableNames, dynamodb: DynamoDBClient
) -> None:
    migrated(alone, s9)
    forged = {**head(alone, 20), "PK": {"S": "SALE#forged"}, "legacyId": {"S": "8888"}}
    Application(dynamodb, tables).put("sales", forged)
    alone.run("--phase", "verify").ended(4)
    table = (alone.data / "reports" / "reconciliation.csv").read_text("utf-8-sig")
    assert [line[-5:] for line in table.splitlines() if ";(total);" in line][:1] == [";8888"]
    alone.run("explain", "sales", "8888").failed(2, "another key", "explain sales SALE#forged")
    verdict = told(alone, "sales", "SALE#forged", 4)["verdict"]
    assert verdict["sentence"] == "Sale 8888 is only in the target: S9 does not have it"
    assert verdict["next"].endswith("--phase verify --repair-extra")


def test_a_key_in_all_forms_and_when_it_was_loaded(alone: Operator, s9: S9Database) -> None:
    migrated(alone, s9)
    key = head(alone, 20)["PK"]["S"]
    for text in ("20", key, key.partition("#")[2], "20/2024", " 20 / 2024 "):
        document = told(alone, "sales", text, 0)
        assert (document["legacyId"], document["PK"]) == ("20", key)
        assert document["number"] == "20/2024"
    refused = told(alone, "sales", "50/2024", 5)  # which is in no transformed file
    assert refused["legacyId"] == "50"
    by_id = told(alone, "sales", refused["PK"], 5)
    assert by_id["legacyId"] == "50"
    assert told(alone, "sales", "51/2024", 0)["legacyId"] == "51"  # S9 alone has it
    alone.run("explain", "sales", "7/2024").failed(2, "2 sales have the number 7/2024", "sales 41")
    alone.run("explain", "sales", "99").failed(2, "nobody knows sale 99", "S9 (msg)", "the target")
    alone.run("explain", "sales", "99/2024").failed(2, "nobody knows sale 99/2024", "S9")
    alone.run("explain", "sales", f"{key[:-4]}0000").failed(2, "nobody knows", "quarantine")
    alone.run("explain", "buyers", key).failed(2, "is a sale", "explain sales SALE#")
    alone.run("explain", "buyers", "20/2024").failed(2, "buyers have none")
    alone.run("explain", "sales", "'; DROP TABLE msg").failed(2, "is no key of sales")
    assert alone.run("explain", "lines", "1").code == 2
    # When and in which request.
    load = told(alone, "sales", "10", 0)["stations"]["load"]
    assert load["run"] == alone.manifest()["run_id"]
    assert load["head"]["kind"] == "batch"
    assert load["head"]["requestId"]
    assert load["requests"][0]["at"] <= load["head"]["at"]  # what opens a sale comes last
    assert load["began"][:19] <= load["head"]["at"][:19] <= load["ended"][:19]
    log = alone.data / "undo" / "sales.requests"
    assert load["head"]["requestId"].encode() in log.read_bytes()
    # Without the log it is known from when to when.
    log.unlink()
    load = told(alone, "sales", "10", 0)["stations"]["load"]
    assert load["head"] is None
    assert f"between {load['began']} and {load['ended']}" in load["words"]


def test_what_was_replaced_or_kept(
    alone: Operator, s9: S9Database, tables: TableNames, dynamodb: DynamoDBClient
) -> None:
    migrated(alone, s9)
    s9.execute("UPDATE msg SET notes = 'other' WHERE first_id IN (20, 21)")
    application = Application(dynamodb, tables)
    application.change("sales", head(alone, 21), status={"S": "paid"}, GSI1PK={"S": "STATUS#paid"})
    alone.configure(load={"onConflict": "newer"})
    s9.execute("UPDATE msg SET updated_at = '2025-01-01 10:00:00' WHERE first_id IN (20, 21)")
    alone.run("--full").ended(5)
    replaced = told(alone, "sales", "20", 0)
    assert replaced["stations"]["load"]["head"]["kind"] in ("conditional", "transaction")
    assert replaced["stations"]["load"]["head"]["requestId"]
    assert kind(told(alone, "sales", "21", 5)) == "kept"
    same = told(alone, "sales", "22", 0)["stations"]["load"]
    assert "before run" in same["words"] or "with this content" in same["words"]
    alone.run("rollback", "--yes").ended(0)
    undone = told(alone, "sales", "22", 0)
    assert kind(undone) in ("as-in-source", "undone")


def test_stations_that_cannot_be_asked_hide_nothing_of_the_others(
    alone: Operator, s9: S9Database, tables: TableNames
) -> None:
    trade(s9)
    nothing = told(alone, "sales", "20", 0)  # before any run, and before there are tables
    assert not alone.data.exists()
    assert (states(nothing)["source"], states(nothing)["extracted"]) == ("ok", "unknown")
    assert "--phase extract --entity sales" in nothing["stations"]["extracted"]["next"]
    assert kind(nothing) == "unknown"
    alone.configure(load={"onConflict": "skip"})
    alone.run("--full").ended(5)
    with run_lock(alone.data / ".lock"):  # a run is at work
        assert kind(told(alone, "sales", "20", 0)) == "as-in-source"
    for name in ("extracted", "transformed", "quarantine"):
        (alone.data / name / "sales.json").rename(alone.directory / f"{name}.json")
    without = told(alone, "sales", "20", 0)
    assert kind(without) == "as-in-source"
    assert states(without)["transformed"] == "unknown"
    s9.execute("UPDATE msg SET total = 9, updated_at = '2025-02-03 10:00:00' WHERE first_id = 23")
    later = told(alone, "sales", "23", 4)
    assert kind(later) == "changed-in-source"
    assert "by S9's own times: " in later["verdict"]["sentence"]
    (alone.data / "manifest.json").rename(alone.directory / "manifest.json")
    assert kind(told(alone, "sales", "20", 0)) == "as-in-source"
    (alone.data / "manifest.json").write_bytes(b"{")
    assert kind(told(alone, "sales", "20", 0)) == "as-in-source"
    (alone.directory / "manifest.json").rename(alone.data / "manifest.json")
    for name in ("extracted", "transformed", "quarantine"):
        (alone.directory / f"{name}.json").rename(alone.data / name / "sales.json")
    with socket.socket() as probe:  # a port where nobody listens
        probe.bind(("127.0.0.1", 0))
        nobody = probe.getsockname()[1]
        port, endpoint = alone.config["source"]["port"], alone.config["target"]["endpoint"]
        alone.configure(source={"port": nobody})
        no_source = told(alone, "sales", "20", 0)
        assert (kind(no_source), states(no_source)["source"]) == ("as-loaded", "unknown")
        assert no_source["stations"]["source"]["words"]
        alone.configure(target={"endpoint": f"http://127.0.0.1:{nobody}"}, migration=IMPATIENT)
        neither = told(alone, "sales", "20", 0)
        assert states(neither)["transformed"] == "ok"
        assert kind(neither) == "unknown"
        (alone.data / "extracted" / "sales.json").unlink()
        (alone.data / "transformed" / "sales.json").unlink()
        alone.run("explain", "sales", "20").failed(1, "nothing can be told of sale 20", "S9: ")
        alone.configure(source={"port": port})
        assert states(told(alone, "sales", "20", 0))["target"] == "unknown"
        alone.configure(target={"endpoint": endpoint})


def test_encrypted_files_are_opened_in_memory(alone: Operator, s9: S9Database) -> None:
    identity, public = new_identity()
    key = alone.directory / "key.txt"
    key.write_text(f"{identity}\n")
    alone.configure(data={"recipient": str(public)})
    migrated(alone, s9)
    sealed = told(alone, "sales", "20", 0)
    assert states(sealed)["transformed"] == "unknown"
    assert "--identity" in sealed["stations"]["transformed"]["next"]
    opened = told(alone, "sales", "20", 0, "--identity", str(key))
    assert set(states(opened).values()) == {"ok"}
    assert kind(told(alone, "sales", "50", 5, "--identity", str(key))) == "quarantined"
    by_number = told(alone, "sales", "10/2024", 0, "--identity", str(key))
    assert (by_number["legacyId"], by_number["stations"]["target"]["lines"]) == ("10", 2)


PERSONAL = {
    "name": f"{MARK} srl",
    "sub_name": MARK,
    "address": f"Via {MARK} 1",
    "city": f"{MARK} Terme",
    "email": f"{MARK}@example.com",
    "pec": f"{MARK}.pec@example.com",
    "phone": "+39 0309887766",
    "fax": "+39 0309887767",
    "main_contact": f"Anna {MARK}",
    "vat_number": "01234567897",
    "fiscal_code": "RSSMRA80A01F205X",
    "bank_details": "IT60X0542811101000000123456",
    "notes": f"{MARK}\n{ESCAPE}",
    "website": f"https://{MARK}.example.com",
}
SHOWN = (MARK, "30988776", "01234567897", "RSSMRA80A01F205X", "0542811101", "example.com")


def test_no_personal_value_is_shown_unless_asked_for_and_nothing_reaches_the_terminal_raw(
    alone: Operator, s9: S9Database, tables: TableNames, dynamodb: DynamoDBClient
) -> None:
    insert(
        s9, "msg_anag", party(1, 2, **PERSONAL), party(3, 1, **PERSONAL), party(4, 2, **PERSONAL)
    )
    insert(s9, "msg", sale(10, 1, 3, notes=f"{MARK} {ESCAPE}", internal_notes=MARK))
    insert(s9, "msg_line", line(1, 10, product_description=f"{MARK} {ESCAPE}"))
    alone.configure(load={"onConflict": "skip"})
    outcome = alone.run("--full")
    assert outcome.code in (0, 5), outcome.output
    application = Application(dynamodb, tables)
    buyers = [each for each in alone.items("buyers") if each["legacyId"]["S"] == "1"]
    by = {"S": f"anna@{MARK}.example.com {ESCAPE}"}
    application.change("buyers", buyers[0], city={"S": f"{MARK} Nuova"}, updatedBy=by)
    s9.execute(f"UPDATE msg_anag SET city = '{MARK} Vecchia' WHERE first_id = 4")
    asked = (("buyers", "1"), ("buyers", "4"), ("producers", "3"), ("sales", "10"))
    for entity, key in asked:
        for more in ((), ("--verbose",), ("--json",)):
            shown = alone.run("explain", entity, key, *more).output
            assert not [word for word in SHOWN if word in shown], shown
            assert "\x1b" not in shown
    personal = alone.run("explain", "buyers", "1", "--show-personal-data", "--verbose").output
    assert f"{MARK} Nuova" in personal
    assert "\x1b[31mred" not in personal
    assert "\u202e" not in personal
    document = told(alone, "buyers", "1", 0, "--show-personal-data")
    assert f"{MARK} srl" in str(document)
    screen = on_a_terminal(alone, "explain", "buyers", "1", "--show-personal-data", "--verbose")
    assert "\x1b[31mred" not in screen.stdout
    assert "\u202e" not in screen.stdout


def test_what_an_operator_sees_of_few_lines_and_of_many(alone: Operator, s9: S9Database) -> None:
    small_trade(s9)
    insert(s9, "msg", sale(70, 1, 3))
    insert(s9, "msg_line", *(line(1000 + n, 70, line_number=n + 1) for n in range(300)))
    alone.run("--full").ended(0)
    document = told(alone, "sales", "70", 0)
    assert kind(document) == "as-in-source"
    for name in ("source", "extracted", "transformed", "target"):
        assert document["stations"][name]["lines"] == 300
        assert len(document["stations"][name]["firstLines"]) == 5
    s9.execute("DELETE FROM msg_line WHERE id = 1299")
    assert "1 item gone" in told(alone, "sales", "70", 4)["verdict"]["sentence"]
    shown = on_a_terminal(alone, "explain", "sales", "70", columns=80).stdout
    assert "300 lines in the table, the first 5 of 300:" in shown

    s9.execute("UPDATE msg SET total = 120, notes = 'x' WHERE first_id = 10")
    coloured = on_a_terminal(alone, "explain", "sales", "10", columns=120)
    assert "\x1b[31m" in coloured.stdout
    for columns in (80, 120):
        plain = on_a_terminal(alone, "--no-color", "explain", "sales", "10", columns=columns)
        assert "\x1b[31m" not in plain.stdout
        lines = plain.stdout.replace("\r", "").rstrip().split("\n")
        verdict = lines[-1]
        assert verdict.startswith("Verdict: S9 has changed sale 10 since the load: total was 51.24")
        assert all(len(each) <= columns for each in lines[:-1] if "migrate.py" not in each)
        row = next(each for each in lines if each.startswith("  ≠ total"))
        assert row.split()[2:] == ["120", "51.24", "51.24"]
        assert [each for each in lines if each.startswith("  ✗ S9 now")]


def test_the_same_on_mysql(
    tmp_path: Path, s9_on_mysql: S9Database, aws: EmbeddedAws, tables: TableNames
) -> None:
    operator = migrated(hire(tmp_path, s9_on_mysql, aws, tables), s9_on_mysql)
    assert kind(told(operator, "sales", "20", 0)) == "as-in-source"
    assert told(operator, "sales", "51/2024", 0)["verdict"]["kind"] == "not-selected"
    s9_on_mysql.execute("UPDATE msg SET total = 120 WHERE first_id = 20")
    changed = told(operator, "sales", "20", 4)
    assert "total was 25.62, is 120" in changed["verdict"]["sentence"]
