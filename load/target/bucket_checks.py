"""The bucket of an import, as `check` and the plan look at it. Nothing is written there."""

from __future__ import annotations

from utils.checking.looking import Looking
from utils.config import Config
from utils.error_handler import TargetError
from utils.s3.bucket import Bucket, BucketFacts
from utils.wording.figures import counted
from utils.wording.invocation import again


def check_bucket(config: Config, looking: Looking) -> None:
    """Whether the bucket is there, where the tables are, and lets nothing stay for ever."""
    s3 = config.load.s3
    step = f"bucket {s3.bucket}"
    looking.at(step)
    try:
        facts = Bucket(config.target, str(s3.bucket), owner=s3.owner).facts()
    except TargetError as error:
        looking.failed(step, error)
        return
    _place(config, step, facts, looking)
    _expiry(config, facts, looking)


def _place(config: Config, step: str, facts: BucketFacts, looking: Looking) -> None:
    region = config.target.region
    if facts.region and facts.region != region:
        looking.warn(
            step,
            f"it is in {facts.region}, and the tables are in {region}: what is read from there is "
            "paid for, and takes longer",
            f"name a bucket in {region} as load.s3.bucket",
        )
        return
    said = [f"in {facts.region or region}"]
    if config.load.s3.kms_key:
        said.append("the files are encrypted by load.s3.kmsKey")
    elif facts.encryption:
        said.append(f"encrypts by {facts.encryption}")
    if facts.versions == "Enabled":
        said.append("keeps versions, which are removed with the files")
    looking.ok(step, ", ".join(said))


def _expiry(config: Config, facts: BucketFacts, looking: Looking) -> None:
    """A migration that is never verified leaves its files there."""
    prefix = f"{config.load.s3.prefix}/"
    step = f"expiry in {config.load.s3.bucket}"
    looking.at(step)
    if facts.lifecycle is None:
        looking.skip(
            step,
            "these credentials may not ask for the bucket's lifecycle",
            "allow s3:GetLifecycleConfiguration (policy `checkImport` of docs/iam-policy.json)",
        )
        return
    days = facts.days_of(prefix)
    if days is None:
        looking.warn(
            step,
            f"nothing below {prefix} expires: what a migration leaves there that is given up holds "
            "personal data",
            f"add a lifecycle rule to the bucket by which objects below {prefix} expire after some "
            f"days, and incomplete uploads with them; then: {again()}",
        )
        return
    looking.ok(step, f"what is below {prefix} expires after {counted(days, 'day')}")
