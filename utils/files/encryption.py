"""Encryption for people who hold a key: the age format (https://age-encryption.org/v1).

A recipient is a public key (`age1…`, or an SSH one), an identity file what opens: the lines of
`age-keygen`, or an SSH private key. The `age` command reads and writes the same.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import pyrage

from utils.error_handler import ArtifactError, ConfigurationError
from utils.files.parts import opened_here
from utils.files.storage import open_private, storage_errors
from utils.wording.invocation import again_with_key

SUFFIX = ".age"

# pyrage has no types of its own: what it makes of a public and of a secret key.
Recipient = Any
Identity = Any


def recipients(setting: str | tuple[str, ...] | None, where: str) -> tuple[Recipient, ...]:
    """The public keys of a setting, none for None.

    Raises ConfigurationError that names the setting (`where`) and the key that is none.
    """
    listed = (setting,) if isinstance(setting, str) else setting or ()
    return tuple(_recipient(text, where) for text in listed)


def _recipient(text: str, where: str) -> Recipient:
    kind = pyrage.ssh if text.startswith("ssh-") else pyrage.x25519
    try:
        return kind.Recipient.from_str(text)
    except pyrage.RecipientError as error:
        raise ConfigurationError(
            f"{where}: {text} is not an age public key ({error})",
            remedy="take the line `Public key: age1…` that age-keygen shows",
        ) from error


def identities(path: Path) -> tuple[Identity, ...]:
    """The secret keys in an identity file. Raises ConfigurationError when there are none."""
    remedy = "name the file that age-keygen wrote (its line begins with AGE-SECRET-KEY-1)"
    try:
        content = path.read_bytes()
        if b"PRIVATE KEY-----" in content:
            return (pyrage.ssh.Identity.from_buffer(content),)
        lines = [line.strip() for line in content.decode("ascii").splitlines()]
        found = tuple(
            pyrage.x25519.Identity.from_str(line) for line in lines if line and line[0] != "#"
        )
    except OSError as error:
        raise ConfigurationError(
            f"the identity file {path} cannot be read: {error.strerror}", remedy=remedy
        ) from error
    except (UnicodeDecodeError, pyrage.IdentityError) as error:
        # The error's own text may quote the secret key.
        raise ConfigurationError(f"{path} is not an age identity file", remedy=remedy) from error
    if not found:
        raise ConfigurationError(f"there is no key in the identity file {path}", remedy=remedy)
    return found


def new_identity() -> tuple[Identity, Recipient]:
    """A key pair that is nowhere but in memory."""
    identity = pyrage.x25519.Identity.generate()
    return identity, identity.to_public()


def encrypt(data: bytes, keys: tuple[Recipient, ...]) -> bytes:
    """`data` for whoever holds the secret key of any of `keys`."""
    sealed: bytes = pyrage.encrypt(data, list(keys))
    return sealed


def decrypt(data: bytes, keys: tuple[Identity, ...], name: object) -> bytes:
    """What `encrypt` was given. Raises ArtifactError that says what is wrong with `name`."""
    if not keys:
        raise needs_identity(str(name))
    try:
        opened: bytes = pyrage.decrypt(data, list(keys))
    except pyrage.DecryptError as error:
        raise _cannot_open(name, error) from error
    return opened


def encrypt_file(plain: Path, sealed: Path, keys: tuple[Recipient, ...]) -> None:
    """Encrypt a file, or an artifact, into another (0600), in constant memory."""
    with storage_errors(sealed), opened_here(plain) as source, open_private(sealed, "wb") as out:
        pyrage.encrypt_io(source, out, list(keys))


class Sink(Protocol):
    """Anything that bytes can be written to."""

    def write(self, data: bytes, /) -> int: ...
    def flush(self) -> None: ...


def decrypt_file(sealed: Path, plain: Path | Sink, keys: tuple[Identity, ...]) -> None:
    """Decrypt a file into another (0600) or a sink, in constant memory."""
    if isinstance(plain, Path):
        with storage_errors(plain), open_private(plain, "wb") as out:
            decrypt_file(sealed, out, keys)
        return
    with storage_errors(sealed), sealed.open("rb") as source:
        try:
            pyrage.decrypt_io(source, plain, list(keys))
        except pyrage.DecryptError as error:
            raise _cannot_open(sealed, error) from error
        except OSError as error:
            if error.errno is None:  # it is age's: the content behind the head was altered
                raise _cannot_open(sealed, error) from error
            raise


def needs_identity(what: str) -> ConfigurationError:
    """The error for something encrypted and no key to open it with."""
    return ConfigurationError(
        f"{what} is encrypted",
        remedy="give the file with the secret key that belongs to the recipient: "
        f"{again_with_key()}",
    )


def _cannot_open(name: object, error: Exception) -> ArtifactError:
    if "No matching keys" in str(error):
        return ArtifactError(
            f"{name} is encrypted for someone else: none of the identities opens it",
            remedy=f"give the identity file of one of its recipients: {again_with_key()}",
        )
    return ArtifactError(
        f"{name} cannot be decrypted: it was cut or edited after it was written",
        remedy="take another copy of it",
    )
