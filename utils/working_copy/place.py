"""A place in S3 where the files of a data directory are kept: what is where below it.

    s3://bucket/prefix/
        index.json                      which files there are, and which object each is
        lock.json                       which machine is at work (utils/working_copy/remote_lock.py)
        files/NAME/SHA                  a file by its name in the data directory and its SHA-256
        kept/NAME/LIFE/…                what was kept of items since (utils/working_copy/kept.py)

An object is written once and never changed. So the index is what makes files be there: it is
replaced as a whole, and names only what is there whole.
"""

from __future__ import annotations

from dataclasses import dataclass

from utils.config import Config, DataInS3


@dataclass(frozen=True)
class Place:
    """A bucket, and the prefix below which everything is."""

    bucket: str
    prefix: str

    @classmethod
    def parse(cls, text: str) -> Place:
        """The place of a URL that the configuration has let pass (utils/settings)."""
        bucket, _, prefix = text.removeprefix("s3://").partition("/")
        return cls(bucket, prefix.rstrip("/"))

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}"

    @property
    def index(self) -> str:
        return f"{self.prefix}/index.json"

    @property
    def lock(self) -> str:
        return f"{self.prefix}/lock.json"

    @property
    def files(self) -> str:
        return f"{self.prefix}/files/"

    @property
    def kept(self) -> str:
        return f"{self.prefix}/kept/"

    def file(self, name: str, sha256: str) -> str:
        """The object of a file with some content."""
        return f"{self.files}{name}/{sha256[:32]}"

    def kept_of(self, name: str, life: str) -> str:
        """Below which is what was kept in a file of items, as long as it lives."""
        return f"{self.kept}{name}/{life}/"

    def url(self, key: str) -> str:
        """An object, as `aws s3` names it."""
        return f"s3://{self.bucket}/{key}"


def place_of(config: Config) -> Place | None:
    """Where the files are kept; None where the data directory is one of this machine alone, as
    that of a rehearsal always is."""
    data = config.data
    is_kept = isinstance(data, DataInS3) and data.directory == data.working_copy
    return Place.parse(data.place) if is_kept and isinstance(data, DataInS3) else None
