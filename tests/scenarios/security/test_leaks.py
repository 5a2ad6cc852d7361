"""What runs leave behind, good and bad ones, holds no secret and no personal data.

Secrets and personal data are planted at both ends, in rows that are clean and in rows that end in
findings; then everything is searched: the screen, every file but those whose purpose it is to hold
the data, and the command lines of all processes.
"""

from __future__ import annotations

import re
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import orjson
import pytest

from tests.conftest import S9Database
from tests.support.aws.proxy import Answer, FaultyProxy, Plan, Request, error
from tests.support.operators.operator import Operator, insert, line, party, sale
from tests.support.places import ROOT
from utils.embedded.aws import EmbeddedAws

DEFECT = ROOT / "tests" / "support" / "faults" / "defect.py"
WORDS = ("Zanzibarin", "Piantato", "Segretissim", "posta-piantata", "nota-riservata")
NUMBERS = ("01234567897", "01234567890", "0542811101", "0309887766", "MRRZNZ80A01")
PERSONAL = (*WORDS, *NUMBERS)
IBAN, BAD_IBAN = "IT60X0542811101000000123456", "IT61X0542811101000000123456"
BY_DESIGN = re.compile(
    r"(dry-run/)?(extracted|transformed|quarantine)/[a-z]+(\.sums)?\.json|backups/[^/]+/items-.*"
    r"|undo/(earlier/)?[a-z]+\.loaded|sync/[a-z]+\.(transform\.(rows|items)|validate\.passed)"
)
KEY = "planted/AWS+secret+key/of40characters000"
TOKEN = "planted-session-token-XXXXXXXXXXXXXXXXXXXXXXXX"


def planted_party(first_id: int, kind: int, **changes: object) -> dict[str, object]:
    return party(
        first_id,
        kind,
        **{
            "name": f"Zanzibarini Ferramenta {first_id} srl",
            "sub_name": "c/o Wolfgang Piantato",
            "address": "Via Segretissima 77",
            "email": f"info{first_id}@posta-piantata.example",
            "pec": "pec@posta-piantata.example",
            "phone": "+39 0309887766",
            "main_contact": "Wolfgang Piantato",
            "vat_number": "01234567897",
            "notes": "nota-riservata di Piantato",
            "bank_details": IBAN,
            **changes,
        },
    )


DIRTY: tuple[dict[str, object], ...] = (
    {"vat_number": "IT01234567890", "fiscal_code": "MRRZNZ80A01H501X"},
    {"vat_number": "MRRZNZ80A01H501U", "bank_details": f"Banca Piantato {BAD_IBAN}"},
    {"email": "a@posta-piantata.example; Wolfgang Piantato", "pec": "Wolfgang Piantato"},
    {"province": "Segretissimo", "sdi_code": "PIANTATO", "phone": "Piantato 0309/887766"},
    {"country": "ZZ", "currency": "Z1"},
    {"name": "Societ\u00c3\u00a0 Zanzibarini", "address": "Via\x07 Segretissima 77"},
    {"name": "  ", "main_contact": "Zanzibarini"},
    {"preferred_language": "zz", "sector": "posta@posta-piantata.example"},
    {"city": None, "code": "Piantato", "fax": "+39 0309887766" + "x" * 60},
    {"code": "Piantato", "sector": "+39 0309887766"},
    {"vat_exempt": "01234567897", "address": "Via Segretissima " * 7},
)


def plant(s9: S9Database) -> None:
    """Parties and sales, clean and dirty in every way that ends in a finding."""
    insert(s9, "msg_anag", planted_party(1, 2), planted_party(3, 1))
    for number, dirt in enumerate(DIRTY, 10):
        insert(s9, "msg_anag", planted_party(number, 2, **dirt))
    copies = {"buyer_name": "Zanzibarini", "producer_name": "Piantato", "notes": "nota-riservata"}
    insert(
        s9,
        "msg",
        sale(100, 1, 3, **copies, co_bank_iban=IBAN),
        sale(101, 10, 3, **copies, co_bank_iban=BAD_IBAN, sale_number=100),
        sale(102, 1, 3, **copies, status="info@posta-piantata.example"),
        sale(103, 999, 3, **copies),
        sale(104, 1, 3, **copies, total="1.00", subtotal="2.00"),
        sale(105, 14, 3, **copies),
        sale(106, 1, 3, **copies, sale_date="0001-01-01", doc_type="01234567897"),
        sale(107, 1, 3, **copies, internal_notes="nota-riservata " * 100),
    )
    insert(s9, "msg_line", *(line(n, n, notes="Piantato") for n in range(100, 108)))
    # An installation whose figures are texts.
    s9.execute("ALTER TABLE msg_line ALTER COLUMN discount TYPE text")
    s9.execute("ALTER TABLE msg ALTER COLUMN delivery_date TYPE text")
    s9.execute("UPDATE msg_line SET discount = 'Zanzibarini' WHERE id = 102")
    s9.execute("UPDATE msg SET delivery_date = 'Wolfgang Piantato' WHERE first_id = 105")


@pytest.fixture
def desk(alone: Operator, s9: S9Database) -> Operator:
    """An operator over a planted S9, whose AWS credentials are planted as well."""
    plant(s9)
    alone.environment |= {
        "AWS_ACCESS_KEY_ID": "AKIAPLANTEDPLANTED00",
        "AWS_SECRET_ACCESS_KEY": KEY,
        "AWS_SESSION_TOKEN": TOKEN,
    }
    alone.secrets += [KEY, TOKEN, "AKIAPLANTEDPLANTED00"]
    alone.configure(migration={"maxRetries": 1, "retryDelay": 0.001})
    return alone


def traces(operator: Operator) -> Iterator[tuple[str, str]]:
    """Everything that an operator's commands have left, by name, but what holds data by design."""
    for number, outcome in enumerate(operator.outcomes):
        yield f"screen of command {number}", outcome.output
    for path in sorted(operator.data.rglob("*")):
        name = path.relative_to(operator.data).as_posix()
        if path.is_file() and not BY_DESIGN.fullmatch(name):
            yield name, path.read_bytes().decode("utf-8", "replace")
    for path in operator.data.glob("**/quarantine/*.json"):
        for refusal in map(orjson.loads, path.read_bytes().splitlines()):
            del refusal["record"]
            yield f"reasons in {path.name}", orjson.dumps(refusal).decode()


def assert_nothing_leaks(operator: Operator, *further: str) -> None:
    sought = [*operator.secrets, *PERSONAL, *further]
    found = [
        f"{word!r} in {name}: {text[max(0, at - 80) : at + 80]!r}"
        for name, text in traces(operator)
        for word in sought
        if (at := text.casefold().find(word.casefold())) >= 0
    ]
    assert not found, "\n".join(found)


def test_a_full_verbose_run_with_findings_of_every_kind(desk: Operator) -> None:
    desk.run("--full", "--verbose").ended(5)
    assert len(desk.report("validation")["rules"]) >= 8
    assert len(desk.quarantine("buyers")) >= 2
    assert len(desk.quarantine("sales")) >= 4
    desk.run("--dry-run", "--verbose").ended(5)
    assert_nothing_leaks(desk)


def test_the_same_party_has_the_same_mask_in_every_finding_and_run(desk: Operator) -> None:
    masks = []
    for _ in range(2):
        desk.run("--full").ended(5)
        text = (desk.data / "reports" / "validation_report.json").read_text()
        text += (desk.data / "reports" / "validation_findings.jsonl").read_text()
        masks.append(set(re.findall(r"\w{0,2}…~[0-9a-f]{8}", text)))
    assert masks[0] == masks[1]
    assert len(masks[0]) >= 5


def test_personal_data_are_shown_where_that_is_wanted_and_secrets_are_not(desk: Operator) -> None:
    desk.configure(logging={"maskPersonalData": False})
    desk.run("--full", "--verbose").ended(5)
    assert "01234567890" in (desk.data / "reports" / "validation_report.json").read_text()
    for name, text in traces(desk):
        assert not [secret for secret in desk.secrets if secret in text], name


def test_validation_errors_that_stop_the_run(desk: Operator) -> None:
    desk.configure(migration={"continueOnError": False})
    desk.run("--full", "--verbose").ended(3)
    assert_nothing_leaks(desk)


def test_a_wrong_password(desk: Operator) -> None:
    desk.environment["S9_PASSWORD"] = wrong = "wrong/pass word'with\"quotes"
    desk.run("--full", "--verbose").failed(1, "password")
    assert_nothing_leaks(desk, wrong)


def test_a_database_that_is_down(desk: Operator) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        desk.configure(source={"port": probe.getsockname()[1]})
    desk.run("--full", "--verbose").failed(1, "cannot be reached")
    assert_nothing_leaks(desk)


def test_a_password_in_the_place_of_a_host(desk: Operator) -> None:
    desk.configure(source={"host": "postgresql://s9:planted-in-url@db.example/s9"})
    desk.run("--full", "--verbose").failed(2, "source.host")
    assert_nothing_leaks(desk, "planted-in-url")


@pytest.mark.parametrize("condition", ["name::numeric > 0", "cast(email as date) > now()"])
def test_a_query_that_fails_on_a_value(desk: Operator, condition: str) -> None:
    desk.configure(extraction={"buyers": {"where": condition}})
    assert "invalid input syntax" in desk.run("--full", "--verbose").ended(1).stderr
    assert_nothing_leaks(desk)


def quoting(request: Request, message: str) -> Answer | None:
    """Refuse what writes the first buyer."""
    if (
        request.operation == "BatchWriteItem"
        and b'{"S":"Zanzibarini Ferramenta 1 srl"}' in request.body
    ):
        return error("ValidationException", message)
    return None


@pytest.mark.parametrize("goes_on", [True, False])
def test_an_item_that_dynamodb_refuses_and_quotes(
    desk: Operator, aws: EmbeddedAws, goes_on: bool
) -> None:
    message = "The parameter cannot be converted to a numeric value: Zanzibarini 01234567897"
    plan = Plan(always=lambda request: quoting(request, message))
    with FaultyProxy(aws, plan) as proxy:
        desk.configure(target={"endpoint": proxy.url}, migration={"continueOnError": goes_on})
        if not goes_on:  # what the gate would stop is left out
            desk.configure(
                extraction={
                    "buyers": {"where": "first_id = 1"},
                    "sales": {"where": "first_id IN (100)"},
                }
            )
        desk.run("--full", "--verbose").ended(5 if goes_on else 1)
    assert_nothing_leaks(desk)


@pytest.mark.parametrize("code", ["InvalidSignatureException", "AccessDeniedException"])
def test_a_service_that_quotes_the_request_it_refuses(
    desk: Operator, aws: EmbeddedAws, code: str
) -> None:
    message = f"The Canonical String was\nx-amz-security-token:{TOKEN}\n for the key {KEY}"

    def refuse(request: Request) -> Answer | None:
        return error(code, message) if request.operation == "BatchWriteItem" else None

    with FaultyProxy(aws, Plan(always=refuse)) as proxy:
        desk.configure(target={"endpoint": proxy.url})
        desk.run("--full", "--verbose").ended(1)
    assert_nothing_leaks(desk)


@dataclass
class DefectiveOperator(Operator):
    """An operator of a tool with a defect in `place` (tests/support/faults/defect.py)."""

    place: str = ""

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, str(DEFECT), self.place, *arguments]


@pytest.mark.parametrize("place", ["transform", "load", "thread"])
def test_an_error_that_nobody_has_foreseen(desk: Operator, place: str) -> None:
    defective = DefectiveOperator(**vars(desk), place=place)
    defective.environment["PLANTED"] = " ".join(PERSONAL)
    outcome = defective.run("--full", "--verbose")
    assert outcome.code == 1, outcome.output
    told = outcome.stderr + (desk.data / "reports" / "migration_errors.log").read_text()
    assert "defect.py" in told, "where it arose is told"
    assert "ValueError" in told
    assert_nothing_leaks(defective)


def command_lines() -> set[str]:
    """The command lines and titles of all processes there are."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        for name in ("cmdline", "comm"):
            with suppress(OSError):
                found.add(
                    (process / name).read_bytes().replace(b"\0", b" ").decode(errors="replace")
                )
    return found


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="needs /proc")
def test_no_command_line_and_no_title_of_a_process_tells_anything(desk: Operator) -> None:
    desk.configure(migration={"processes": 2})
    seen: set[str] = set()
    with desk.start("--full", "--verbose", anew=True) as running:
        while running.process.poll() is None:
            seen |= command_lines()
            time.sleep(0.02)
        desk.outcomes.append(running.end())
    assert any("migrate.py --full" in text for text in seen)
    for word in (*desk.secrets, *PERSONAL):
        assert not [text for text in seen if word in text], word
    assert_nothing_leaks(desk)
