"""What a load by import from S3 takes, beside one in batches: objects, and the time of the upload.

How long DynamoDB takes for the import itself AWS does not say: it depends on sizes, objects and
keys ("DynamoDB data import from Amazon S3: how it works", developer guide). So no figure is made
up for it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

from load.s3_import.cutting import Cutting, ObjectContent
from load.s3_import.uploading import at_once
from utils.files.elsewhere import range_of, size_of
from utils.wording.figures import counted

_SAMPLE = 2 << 20  # bytes that are compressed to see how fast that goes
_GIGABYTE = 1 << 30
UNTOLD = "how long DynamoDB takes to import them AWS does not say"


@dataclass(frozen=True)
class ImportForecast:
    """An import of `bytes` of the transformed files in so many `objects`; `seconds` are those of
    the upload by table (by entity), as far as this machine decides. `chosen`: this is how it is
    going to be loaded (`load.method`)."""

    chosen: bool
    bytes: int
    objects: int
    seconds: Mapping[str, float]

    @property
    def upload_seconds(self) -> float:
        return sum(self.seconds.values())

    def as_json(self) -> dict[str, Any]:
        return {
            "chosen": self.chosen,
            "bytes": self.bytes,
            "objects": self.objects,
            "uploadSeconds": round(self.upload_seconds, 3),
        }

    def what(self) -> str:
        """In words: "3.2 GB in 214 objects"."""
        size = self.bytes / _GIGABYTE
        shown = f"{size:,.1f} GB" if size >= 1 else counted(self.bytes, "byte")
        return f"{shown} in {counted(self.objects, 'object')}"


def import_forecast(
    sizes: Mapping[str, int], files: Mapping[str, Path], *, chosen: bool
) -> ImportForecast:
    """What an import of files takes: `sizes` are the bytes that are to be imported, by entity."""
    cuts = {name: Cutting.of(files[name], size, "") for name, size in sizes.items()}
    objects = sum(ceil(cut.size / cut.target) for cut in cuts.values())
    rate = _compressed_a_second(list(files.values()))
    seconds = {name: cut.size / (rate * at_once(cut)) for name, cut in cuts.items()}
    return ImportForecast(chosen, sum(sizes.values()), objects, seconds)


def _compressed_a_second(files: list[Path]) -> float:
    """Bytes of these files that a core of this machine compresses in a second."""
    largest = max(files, key=size_of, default=None)
    sample = b""
    if largest is not None:
        sample = range_of(largest, 0, _SAMPLE)
    began = time.perf_counter()
    ObjectContent(0, sample or b"{}").compressed()
    return max(len(sample), 1) / max(time.perf_counter() - began, 1e-6)
