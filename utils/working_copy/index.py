"""The index of a place in S3: which files there are, and where the content of each is.

What is small stands in the index itself, so that the state of a load is durable by one request.
"""

from __future__ import annotations

import hashlib
from base64 import b64decode, b64encode
from dataclasses import asdict, dataclass, field

import orjson

from utils.error_handler import ArtifactError
from utils.settings.typed_json import fits
from utils.wording.invocation import again

VERSION = 1


@dataclass(frozen=True)
class Entry:
    """A file: its size and SHA-256; its content, as Base64, or the `key` of the object that has it.
    A file of kept items (utils/working_copy/kept.py) has a `life`."""

    size: int
    sha256: str
    key: str = ""
    content: str = ""
    life: str = ""

    @classmethod
    def of(cls, content: bytes) -> Entry:
        """That of a small file."""
        sha256 = hashlib.sha256(content).hexdigest()
        return cls(len(content), sha256, content=b64encode(content).decode())

    @property
    def bytes(self) -> bytes:
        """The content that the index has itself."""
        return b64decode(self.content)


@dataclass(frozen=True)
class Index:
    """All files of a place; `generation` counts the indexes that there were, `by` is the working
    copy that wrote this one, on the machine `host`."""

    generation: int = 0
    by: str = ""
    host: str = ""
    at: str = ""
    files: dict[str, Entry] = field(default_factory=dict)

    def text(self) -> bytes:
        """What is in the object."""
        return orjson.dumps({"version": VERSION, **asdict(self)})

    @classmethod
    def read(cls, text: bytes, where: str) -> Index:
        """The index that `where` has. Raises ArtifactError for what is none."""
        try:
            document = orjson.loads(text)
            if document.pop("version") != VERSION:
                raise ValueError("version")
            files = {name: Entry(**entry) for name, entry in document.pop("files").items()}
            index = cls(**document, files=files)
            if not fits(index, Index) or not all(map(_is_name, files)):
                raise ValueError("type")
            return index
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ArtifactError(
                f"{where} is damaged, or was written by another version of the tool",
                remedy="put an earlier version of this object back, if the bucket keeps versions; "
                f"then: {again()}",
            ) from error


def _is_name(name: str) -> bool:
    parts = name.split("/")
    return all(part not in ("", ".", "..") for part in parts)
