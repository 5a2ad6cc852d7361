"""What a verification by S9 has read before it was cut short is taken up again only under a seal.

Its files lie on the same disk as all others, and a verification that believes nothing of what is
on that disk must not believe them either. So the inner manifest, which has the SHA-256 of every
file that is complete, carries a message authentication code whose key is not there: it is derived
from the password of S9 (scrypt, RFC 7914, so that the code is no help in guessing it). Without a
password there is no seal, and S9 is read from the beginning.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from dataclasses import asdict, dataclass, field

import orjson

from utils.files.artifacts import sha256_of
from utils.files.workspace import Workspace
from utils.run.manifest import Manifest
from utils.run.run import Run

_SALT, _SEAL = "salt", "seal"
_COST, _BLOCK = 1 << 14, 8  # 16 MB and some 50 ms, once in a command


@dataclass(frozen=True)
class SealingKey:
    """The key of one inner run; none (b"") where there is no password."""

    salt: str
    key: bytes = field(repr=False)

    @classmethod
    def of(cls, password: str, salt: str = "") -> SealingKey:
        """The key that a password gives with a salt (hexadecimal), or a new one."""
        salt = salt or os.urandom(16).hex()
        made = hashlib.scrypt(
            password.encode(), salt=salt.encode(), n=_COST, r=_BLOCK, p=1, dklen=32
        )
        return cls(salt, made if password else b"")

    def seal(self, manifest: Manifest) -> str:
        """The code of a manifest, "" without a key."""
        document = asdict(manifest)
        document["made_for"].pop(_SEAL, None)
        text = orjson.dumps(document, option=orjson.OPT_SORT_KEYS)
        return hmac.new(self.key, text, hashlib.sha256).hexdigest() if self.key else ""


@dataclass
class SealedRun(Run):
    """A run whose manifest is sealed whenever it is saved."""

    sealing: SealingKey = field(default_factory=lambda: SealingKey("", b""))

    def save(self) -> None:
        made_for = self.manifest.made_for
        self.manifest.made_for = {**made_for, _SALT: self.sealing.salt}
        self.manifest.made_for[_SEAL] = self.sealing.seal(self.manifest)
        super().save()


def sealing_of(manifest: Manifest, password: str) -> SealingKey | None:
    """The key under whose seal a manifest is, None when it is under none of this password's."""
    seal, salt = (manifest.made_for.get(name) for name in (_SEAL, _SALT))
    if not (password and isinstance(seal, str) and isinstance(salt, str) and salt):
        return None
    sealing = SealingKey.of(password, salt)
    return sealing if hmac.compare_digest(sealing.seal(manifest).encode(), seal.encode()) else None


def holds_its_files(manifest: Manifest, files: Workspace) -> bool:
    """Whether every file that a manifest has an entry of is there, byte for byte."""
    paths = {files.root / name: entry for name, entry in manifest.artifacts.items()}
    return all(path.is_file() and sha256_of(path) == e.sha256 for path, e in paths.items())
