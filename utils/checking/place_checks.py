"""The place in S3 where files are kept, as `check` and the plan look at it. Nothing is written."""

from __future__ import annotations

from utils.checking.looking import Looking
from utils.config import Config
from utils.error_handler import TargetError
from utils.s3.bucket import BucketFacts
from utils.s3.file_bucket import FileBucket
from utils.wording.figures import counted
from utils.wording.invocation import again
from utils.working_copy.keeping import bucket_of
from utils.working_copy.place import Place

_POLICY = "policy `checkDataInS3` of docs/iam-policy.json"


def check_place(config: Config, place: Place, looking: Looking) -> None:
    """Whether the bucket is there, may be written to, is where the tables are, keeps the files to
    itself and for as long as they are needed."""
    step = f"bucket {place.bucket}"
    looking.at(step)
    try:
        bucket = bucket_of(config, place)
        facts, is_public = bucket.facts(), bucket.is_public()
        _writable(bucket, place, looking)
    except TargetError as error:
        looking.failed(looking.now, error)
        return
    if is_public:
        looking.fail(
            step,
            "its policy lets everybody in, and the files hold personal data",
            "block public access to the bucket, or name another as data.directory; then: "
            f"{again()}",
        )
    elif facts.region and facts.region != config.target.region:
        looking.fail(
            step,
            f"it is in {facts.region}, and the tables are in {config.target.region}",
            f"name one in {config.target.region} as data.directory; then: {again()}",
        )
    else:
        looking.ok(step, ", ".join(_said(config, facts, is_public=is_public)))
    _expiry(place, facts, looking)


def _writable(bucket: FileBucket, place: Place, looking: Looking) -> None:
    step = f"writing to {place}"
    looking.at(step)
    bucket.try_putting(place.lock)
    looking.ok(step, "files may be put there")


def _said(config: Config, facts: BucketFacts, *, is_public: bool | None) -> list[str]:
    said = [f"in {facts.region or config.target.region}"]
    if config.data.s3.kms_key:
        said.append("the files are encrypted by data.s3.kmsKey")
    elif facts.encryption:
        said.append(f"encrypts by {facts.encryption}")
    if facts.versions == "Enabled":
        said.append("keeps versions, which are removed with the files")
    if is_public is None:
        said.append(f"whether it is public may not be asked ({_POLICY})")
    return said


def _expiry(place: Place, facts: BucketFacts, looking: Looking) -> None:
    """What expires is lost, and the rest is of no use then."""
    step = f"expiry in {place.bucket}"
    days = facts.days_of(f"{place.prefix}/")
    if days is not None:
        looking.warn(
            step,
            f"what is below {place.prefix}/ expires after {counted(days, 'day')}: a migration that "
            "takes longer could neither be resumed nor undone",
            f"leave {place.prefix}/ out of the bucket's lifecycle rules; `clean` deletes the files",
        )
