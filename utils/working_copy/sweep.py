"""What is in S3 and belongs to no file any more goes, with all versions: what was replaced, what
`clean` has deleted, what is encrypted by now, and what was kept of items and is in their file."""

from __future__ import annotations

from utils.error_handler import MigrationError
from utils.logger import get_logger
from utils.s3.file_bucket import FileBucket
from utils.working_copy.index import Index
from utils.working_copy.patience import Patience
from utils.working_copy.place import Place


def sweep(bucket: FileBucket, place: Place, index: Index, patience: Patience) -> None:
    """Remove every object and version below a place that the index does not name. What cannot be
    removed is told, and is tried again at the end of the next command."""
    live = {entry.key for entry in index.files.values()}

    def remove() -> None:
        for prefix in (place.files, place.kept):
            bucket.remove_versions(
                [
                    (key, version)
                    for key, version, is_latest in bucket.versions(prefix)
                    if not is_latest or key not in live
                ]
            )

    try:
        patience.do(remove, waits=False)
    except MigrationError as error:
        get_logger().warning("What is no longer needed stays in S3: %s", error.message)
