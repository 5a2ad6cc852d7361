"""Nothing that a driver, a library or a defect says brings a secret or a person to light."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.awsrequest import AWSRequest
from botocore.exceptions import HTTPClientError
from botocore.httpsession import URLLib3Session
from hypothesis import given
from hypothesis import strategies as st

from utils.aws.errors import shortened, target_errors
from utils.config import LoggingConfig, Secret, TargetConfig
from utils.error_handler import BackOff, MigrationError, TargetError, told, traceback_of
from utils.logger import close_logs, get_logger, set_up_files, set_up_screen
from utils.wording import masking
from utils.wording.masking import conceal, conceal_environment, conceal_key_id, mask, scrub, veil


@pytest.fixture(autouse=True)
def fresh_state() -> Iterator[None]:
    """Every test begins with a key of its own and no secret known."""
    before = masking.MaskState(**vars(masking.state()))
    masking.restore(masking.MaskState())
    yield
    masking.restore(before)


@given(st.text(min_size=1).filter(str.strip))
def test_a_mask_shows_two_characters_at_most_and_a_third_of_the_value(value: str) -> None:
    shown, _, digest = mask(value).partition("…~")
    assert len(shown) <= 2
    assert len(shown) * 3 <= len(value.strip())
    assert len(digest) == 8


@given(st.text(), st.text())
def test_masks_are_equal_for_equal_values(one: str, other: str) -> None:
    same = one.strip().casefold() == other.strip().casefold()
    assert (mask(one).partition("~")[2] == mask(other).partition("~")[2]) == same


def test_another_data_directory_gives_other_masks() -> None:
    before = mask("01234567890")
    masking.set_up(b"another key of mine", personal=True)
    assert mask("01234567890") != before


def test_personal_data_are_shown_when_that_is_asked_for_and_secrets_are_not() -> None:
    conceal("hunter22")
    masking.set_up(b"key", personal=False)
    assert mask(" Rossi srl ") == "Rossi srl"
    assert scrub('value "info@rossi.example" hunter22') == 'value "info@rossi.example" ***'


@given(st.text(min_size=4))
def test_a_known_secret_is_in_no_text_however_it_is_written(secret: str) -> None:
    conceal(secret)
    for text in (secret, f"<{secret}>", repr(secret), f"u:{secret}@h"):
        if "***" not in secret and secret not in "<>u:@h***'\"":
            assert secret not in scrub(text)


def test_every_secret_of_the_configuration_and_the_environment_is_known() -> None:
    Secret('s3"cret/ü')
    conceal_environment(
        {"S9_PASSWORD": "from-env", "AWS_SESSION_TOKEN": "tok-123", "HOME": "/home"}
    )
    told = scrub(r"s3\"cret/ü s3%22cret%2F%C3%BC from-env tok-123 /home")
    assert told == "*** *** *** *** /home"


@pytest.mark.parametrize(
    ("text", "scrubbed"),
    [
        ("postgresql://s9:p%40ss@db/s9 refused", "postgresql://s9:***@db/s9 refused"),
        ("host=db password='open sesame' x", "host=db password='***' x"),
        ("password=geheim user=x", "password=*** user=x"),
        ('{"Authorization": "AWS4-HMAC-SHA256"}', '{"Authorization": "***"}'),
        ("key AKIAIOSFODNN7EXAMPLE is not", "key *** is not"),
        ("AWS_ACCESS_KEY_ID=cats S9_PASSWORD=dogs", "AWS_ACCESS_KEY_ID=*** S9_PASSWORD=***"),
        (
            '{"AccessKeyId": "x1", "SecretAccessKey": "y"}',
            '{"AccessKeyId": "***", "SecretAccessKey": "***"}',
        ),
        ("aws_session_token = IQoJ//x= ;", "aws_session_token = *** ;"),
        ("?X-Amz-Credential=keyid%2F20261126%2Feu", "?X-Amz-Credential=***%2F20261126%2Feu"),
        ("AGE-SECRET-KEY-1QQQSZQG3", "***"),
        ("-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY----- after", "*** after"),
    ],
)
def test_what_looks_like_a_secret_is_hidden_though_nobody_knows_it(
    text: str, scrubbed: str
) -> None:
    assert scrub(text) == scrubbed


PERSONAL = [
    ('invalid input syntax for type numeric: "Rossi Mario"', "Rossi Mario"),
    ('date/time field value out of range: "Via Roma 3"', "Via Roma"),
    ('value "99999999999999" is out of range for type integer', "9999"),
    ("Key (ragione_sociale)=(Rossi (Mario) srl) already exists.", "Rossi"),
    ("Duplicate entry 'O'Brien srl' for key 'name'", "Brien"),
    ("Truncated incorrect DOUBLE value: 'Bianchi'", "Bianchi"),
    ("could not convert literal: 'Verdi'", "Verdi"),
    ("The parameter cannot be converted to a numeric value: Rossi Mario", "Rossi"),
    ("write to mario.rossi@posta.example.it, please", "rossi"),
    ("paid to IT60X0542811101000000123456.", "X0542811101"),
    ("paid to IT60 X054 2811 1010 0000 0123 456.", "2811"),
    ("paid to it60x0542811101000000123456", "x0542811101"),
    ("code RSSMRA80A01H501U is taken", "MRA80A01"),
    ("vat it01234567890, DE123456789, ATU12345678", "345678"),
    ("call +39 030 1234567 or +390301234567", "12345"),
]


@pytest.mark.parametrize(("text", "personal"), PERSONAL)
def test_what_looks_personal_is_masked(text: str, personal: str) -> None:
    assert personal in text
    assert personal not in scrub(text)
    assert scrub(scrub(text)).count("…~") >= 1


@pytest.mark.parametrize(
    "text",
    [
        'column "name" of relation "msg_anag" does not exist',
        'syntax error at or near "FORM"',
        "SALE#1f0e2d3c-aaaa-5bbb-8ccc-ab12cdef0123 / LINE#de12abcd-0000-5bbb-8ccc-001122334455",
        "run ab12cdef stopped in load: where it was",
        "run 7f3a9c21 stopped in load, sales, 61,250 of 92,118 items: it was killed",
        "DynamoDB in eu-west-1 denies access: arn:aws:dynamodb:eu-west-1:123456789012:table/Sales",
        "'2024-05-17 09:00:00' is not a day of the form YYYY-MM-DD",
        "data/extracted/sales.json has 1,234,567,890 bytes",
    ],
)
def test_what_an_operator_needs_to_read_stays_as_it_is(text: str) -> None:
    assert scrub(text) == text
    assert veil(text) == text


@pytest.mark.parametrize(
    "key_id", ["AKIAIOSFODNN7EXAMPLE", "AKIAIOSF\nODNN7EXAMPLE", "Qx9w/Zz8y id"]
)
def test_what_the_http_library_says_of_a_header_has_no_key_in_it(key_id: str) -> None:
    """botocore puts the text of whatever its HTTP library raises into HTTPClientError."""
    signed = f"AWS4-HMAC-SHA256 Credential={key_id}/20261126/eu-west-1/dynamodb/aws4_request, S=\n"
    request = AWSRequest("POST", "http://127.0.0.1:9/", {"Authorization": signed}, b"{}").prepare()
    with pytest.raises(HTTPClientError) as raised:
        URLLib3Session().send(request)
    assert repr(key_id)[1:-1] in str(raised.value)
    with pytest.raises(TargetError) as refused, target_errors(TargetConfig()):
        raise raised.value
    for text in (refused.value.message, traceback_of(refused.value), told(raised.value)):
        assert not [part for part in re.split(r"\W+", key_id) if len(part) > 2 and part in text]
        assert "unhandled exception" in text or text == told(raised.value)


def test_no_part_of_a_secret_is_left_where_a_text_is_cut() -> None:
    conceal("s3cret-of-some-length")
    for place in range(150, 320):
        assert "s3cret" not in shortened("x" * place + " s3cret-of-some-length")


def test_the_id_of_a_key_in_use_is_hidden_and_an_emulators_stays_a_word() -> None:
    conceal_environment({"AWS_ACCESS_KEY_ID": "localstack", "OTHER_ACCESS_KEY": "0123456789abcdef"})
    conceal_key_id("an-id-of-no-usual-form")
    shown = scrub("localstack 0123456789abcdef an-id-of-no-usual-form")
    assert shown == "localstack *** ***"


def test_errors_are_scrubbed_when_they_are_made() -> None:
    conceal("hunter22")
    error = MigrationError("login as s9:hunter22 failed", remedy="not hunter22")
    assert "hunter22" not in f"{error}{error.message}{error.remedy}{error.args}"
    assert "hunter22" not in str(BackOff("Lost", "hunter22")) + BackOff("Lost", "hunter22").detail


def test_a_traceback_has_every_place_and_no_value() -> None:
    conceal("hunter22")

    def convert(text: str) -> int:
        return int(text)

    try:
        try:
            convert("Rossi Mario")
        except ValueError as error:
            raise KeyError("Via Roma 3, hunter22") from error
    except KeyError as error:
        text = traceback_of(error)
    assert "in convert" in text
    assert "ValueError: " in text
    assert "KeyError: " in text
    assert "hunter22" not in text
    told_only = [line for line in text.splitlines() if not line.startswith("    ")]  # no source
    for hidden in ("Rossi", "Via Roma"):
        assert not [line for line in told_only if hidden in line]


def test_the_text_of_errors_that_quote_no_data_is_told() -> None:
    assert told(TypeError("'NoneType' object is not iterable")).endswith("is not iterable")
    assert "Rossi" not in told(ValueError("no number: 'Rossi'"))


def test_logs_are_scrubbed_also_those_of_libraries(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    conceal("hunter22")
    log, errors = tmp_path / "migration.log", tmp_path / "migration_errors.log"
    set_up_screen(LoggingConfig(), verbose=True, quiet=False, color=False)
    set_up_files(LoggingConfig(), log, errors, "7f3a")
    get_logger().debug("dsn %s", "host=h password=hunter22")
    get_logger().error("lost", extra={"context": {"remedy": "not hunter22"}})
    logging.getLogger("botocore").warning("%s", {"token": "hunter22"})
    try:
        raise ValueError("hunter22 of Rossi Mario")
    except ValueError:
        get_logger().exception("oh")
    close_logs()
    told = capsys.readouterr().err + log.read_text() + errors.read_text()
    assert "botocore" not in told
    assert told.count("{'token': '***'}") == 2
    quoted = 'raise ValueError("hunter22 of Rossi Mario")'  # the line of this test's own source
    assert "hunter22" not in told.replace(quoted, "").replace(quoted.replace('"', '\\"'), "")
