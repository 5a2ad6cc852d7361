"""What people read: no secret in it, and personal data only in a disguise that tells equal from
different.

`mask("Rossi S.p.A.")` gives `Ro…~5f0c91d2`: at most two characters for the eye, and eight
hexadecimal digits that are equal for equal values. They are keyed: whoever has a report but not
data/.mask-key can neither find a tax code by trying all of them nor see whether a known one is
meant. The key belongs to a data directory, so that the reports of all its runs can be compared.

`scrub(text)` is for texts that others have worded, such as a driver's exception: it takes out the
secrets that are known (every Secret of the configuration, every AWS key in use, every variable of
the environment whose name says so), whatever looks like one, and what looks personal.

The state is the process's own, because texts arise everywhere: `set_up` is called where a run is
opened, `state` and `restore` hand it to the processes that share the work.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets as randomness
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

HIDDEN = "***"
KEY_BYTES = 16
_SHORTEST_SECRET = 4  # below it is a word, and taking it out would garble every text
# AWS's are no shorter (IAM API reference, AccessKey); what is, is an emulator's, and a word.
_SHORTEST_KEY_ID = 16


@dataclass
class MaskState:
    """The key of the digests, whether personal data are masked at all, and the known secrets in
    every spelling, longest first."""

    key: bytes = field(default_factory=lambda: randomness.token_bytes(KEY_BYTES))
    personal: bool = True
    known: tuple[str, ...] = ()


_state = MaskState()


def new_key() -> bytes:
    """A key for `set_up`, to be kept beside what is masked with it."""
    return randomness.token_bytes(KEY_BYTES)


def set_up(key: bytes, *, personal: bool) -> None:
    """Mask with `key` from now on; unless `personal`, personal data are shown."""
    _state.key, _state.personal = key, personal


def state() -> MaskState:
    """What `restore` needs in another process."""
    return _state


def restore(other: MaskState) -> None:
    """Mask as the process that gave `other` does."""
    _state.key, _state.personal, _state.known = other.key, other.personal, other.known


def conceal(secret: str) -> None:
    """Take `secret` out of every text from now on, also where it is escaped or in a URL."""
    if len(secret) < _SHORTEST_SECRET or secret in _state.known:
        return
    spellings = {
        secret,
        quote(secret, safe=""),
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        repr(secret)[1:-1],
    }
    _state.known = tuple(sorted({*_state.known, *spellings}, key=len, reverse=True))


def conceal_key_id(key_id: str) -> None:
    """Take the id of an AWS key out of every text: it names an account and who signs there."""
    if len(key_id) >= _SHORTEST_KEY_ID:
        conceal(key_id)


_KEY_ID_NAME = re.compile(r"ACCESS_?KEY(_?ID)?$", re.I)
_SECRET_NAME = re.compile(r"PASSW(OR)?D|SECRET|TOKEN|CREDENTIAL|PRIVATE_KEY|API_?KEY", re.I)
_NO_SECRET = re.compile(r"_(FILE|PATH|ARN|URI|URL)$", re.I)


def conceal_environment(environ: Mapping[str, str]) -> None:
    """Conceal the variables whose names say that they hold a secret."""
    for name, value in environ.items():
        if _SECRET_NAME.search(name) and not _NO_SECRET.search(name):
            conceal(value)
        elif _KEY_ID_NAME.search(name):
            conceal_key_id(value)


def mask(value: str) -> str:
    """Return `value` with all but its first characters (two, of short values fewer) replaced by a
    keyed digest, which is the same for values that differ only in case and blanks around.

    With `logging.maskPersonalData` false, the value itself.
    """
    text = value.strip()
    return disguised(text) if _state.personal or not text else text


def disguised(value: str) -> str:
    """The same whatever `logging.maskPersonalData` says: for what never holds personal data, such
    as the manifest."""
    text = value.strip()
    if not text:
        return "(blank)"
    folded = text.casefold().encode("utf-8", "surrogatepass")
    digest = hashlib.blake2s(folded, digest_size=4, key=_state.key)
    return f"{text[: min(2, len(text) // 3)]}…~{digest.hexdigest()}"


def shows_personal_data() -> bool:
    """Whether personal data may be shown (`logging.maskPersonalData` is false)."""
    return not _state.personal


# An apostrophe inside a word is none.
_QUOTE = re.compile(r"""["`´«»‹›“”„‘]|(?<![A-Za-z])['’]""")


def up_to_the_first_quote(text: str) -> str:
    """What of another's words comes before the first value that they quote: where a quoted value
    has quotes of its own, nobody can tell where it ends."""
    before = _QUOTE.split(text, maxsplit=1)[0]
    return before.rstrip(" :,(=") if len(before) < len(text) else text


_URL_PASSWORD = re.compile(r"(?<=://)([^\s:/@]*):([^\s/]+)@")
_NAMED_SECRET = re.compile(
    r"""\b(?P<name>(?:\w+_)?(?:password|passwd|pwd|secret|api_?key|(?:session|security)_?token
        |(?:aws)?(?:secret_?)?access_?key(?:_?id)?)|x-amz-security-token|authorization)
        (?P<gap>["']?\s*[=:]\s*)(?:(?P<quote>["']).*?(?P=quote)|[^\s"',;&]+)""",
    re.I | re.X,
)
_SETTINGS = "source."  # where a setting has such a name (utils/config.py)
_BARE_SECRETS = re.compile(
    r"""-----BEGIN[ A-Z]*PRIVATE\ KEY-----.*?(?:-----END[ A-Z]*PRIVATE\ KEY-----|\Z)
      | AGE-SECRET-KEY-1[0-9A-Z]+
      | \b(?:AKIA|ASIA|ABIA|ACCA)[0-9A-Z]{12,}
      | (?<=Credential=)(?:.{1,200}?(?=(?:/|%2F)\d{8}(?:/|%2F))|[^\s/,;&"']+)
      | (?<=Signature=)[0-9a-f]{64}""",
    re.X | re.S,
)
# How PostgreSQL, MySQL and Python quote a value that they do not take (identifiers stay).
_QUOTED_VALUE = re.compile(
    r"""(?P<before>(?:syntax\ for\ (?:type\ )?[^:"']+ | out\ of\ range | \bvalue | \bentry |
        \bliteral(?:\ for\ [^:]*)? )(?::\ |\ ))
        (?P<quote>["'])(?P<value>.*?)(?P=quote)(?=$|[\s,.;:)])""",
    re.X | re.S,
)
_KEY_VALUE = re.compile(
    r"(?P<before>Key \([^)]*\)=\()(?P<value>.*?)(?=\) (?:already|is not|con)|\)?$)"
)
_BARE_VALUE = re.compile(r"(?P<before>(?:numeric|Supplied) value: )(?P<value>\S.*)")  # DynamoDB
# In groups of four it is in capitals: "ab12cdef stopped" is the name of a run, and a word.
_IBAN = (
    r"(?<![-\w])(?:[A-Z]{2}\d{2}[A-Z0-9]{11,30}"
    r"|(?-i:[A-Z]{2}\d{2}(?=(?:\ ?[A-Z0-9]){11})(?:\ [A-Z0-9]{4})+(?:\ [A-Z0-9]{1,3})?))\b"
)
_TAX_CODE = r"\b[A-Z]{6}[0-9LMNP-V]{2}[A-Z][0-9LMNP-V]{2}[A-Z][0-9LMNP-V]{3}[A-Z]\b"
_PERSONAL = re.compile(
    rf"""[\w.+'-]+@[\w-]+(?:\.[\w-]+)+  # e-mail
      | {_IBAN}
      | {_TAX_CODE}
      | \b(?:IT\ ?)?\d{{11}}\b  # VAT number
      | \b(?-i:ATU|[A-Z]{{2}})\d{{8,10}}\b  # VAT number from abroad
      | (?<![\w+])\+\d[\d\ /().-]{{6,}}\d  # phone""",
    re.X | re.I,
)


def scrub(text: str) -> str:
    """Return `text` without secrets, and with what looks personal masked."""
    for secret in _state.known:
        if secret in text:
            text = text.replace(secret, HIDDEN)
    text = _URL_PASSWORD.sub(rf"\1:{HIDDEN}@", text)
    text = _NAMED_SECRET.sub(_without_value, text)
    return veil(_BARE_SECRETS.sub(HIDDEN, text))


def _without_value(found: re.Match[str]) -> str:
    if found["gap"] == ": " and found.string[: found.start()].endswith(_SETTINGS):
        return found[0]  # a sentence about a setting, which never tells its value
    around = found["quote"] or ""
    return f"{found['name']}{found['gap']}{around}{HIDDEN}{around}"


def veil(text: str) -> str:
    """Return `text` with what looks personal in it masked: e-mail addresses, IBANs, tax codes, VAT
    numbers, phone numbers, and the values that a database quotes."""
    return veiled(text) if _state.personal else text


def veiled(text: str) -> str:
    """The same whatever `logging.maskPersonalData` says, as `disguised`."""
    text = _QUOTED_VALUE.sub(
        lambda found: found["before"] + found["quote"] + disguised(found["value"]) + found["quote"],
        text,
    )
    for pattern in (_KEY_VALUE, _BARE_VALUE):
        text = pattern.sub(lambda found: found["before"] + disguised(found["value"]), text)
    return _PERSONAL.sub(lambda found: disguised(found[0]), text)
