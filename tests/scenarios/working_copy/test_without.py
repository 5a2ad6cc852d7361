"""What goes without S3, what S3 must be able to do, and a second judge."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import orjson
import pytest

from tests.conftest import S9Database
from tests.support.aws.moto_server import MotoAws
from tests.support.aws.s3_places import PlaceInS3, lose_the_machine
from tests.support.aws.s3_watch import S3Watch
from tests.support.operators.operator import Operator, small_trade
from tests.support.places import ROOT
from utils.embedded.aws import EmbeddedAws
from utils.files.encryption import new_identity


@pytest.fixture
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MotoAws]:
    server = MotoAws(tmp_path_factory.mktemp("moto") / "log")
    with server:
        yield server


def test_without_a_place_in_s3_nothing_of_it_is_imported(alone: Operator, s9: S9Database) -> None:
    small_trade(s9)
    alone.write_config()
    code = (
        "import sys; sys.argv = ['migrate.py', '--full']; import migrate\n"
        "try: migrate.cli()\n"
        "except SystemExit as end: print('ended', end.code)\n"
        "print([n for n in sys.modules if n.startswith('s3transfer')\n"
        "       or n in ('utils.s3.file_bucket', 'utils.working_copy.push')])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=alone.directory,
        env={**alone.environment, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "ended 0\n[]" in done.stdout, done.stdout + done.stderr


def test_a_rehearsal_writes_nothing_there(
    alone: Operator, s9: S9Database, place: PlaceInS3
) -> None:
    small_trade(s9)
    alone.configure(data={"directory": str(place)})
    alone.run("--dry-run").ended(0)
    assert place.listed() == []
    alone.run("--full").ended(0)
    before = place.listed()
    lose_the_machine(alone)
    alone.run("sync", "--dry-run").ended(0)
    assert place.listed() == before


def test_an_s3_without_conditions_is_refused(
    alone: Operator, s9: S9Database, aws: EmbeddedAws, place: PlaceInS3
) -> None:
    small_trade(s9)
    alone.configure(data={"directory": str(place)})
    with S3Watch(aws, forgets={"if-none-match"}) as watch:
        alone.environment["AWS_ENDPOINT_URL_S3"] = watch.url
        alone.run("--full").failed(1, "does not know conditional writes", "If-None-Match")
    assert place.listed() == []


def test_moto_keeps_the_files_as_well_encrypted_by_a_key(
    alone: Operator, s9: S9Database, moto: MotoAws
) -> None:
    small_trade(s9)
    place = PlaceInS3(moto)
    alone.configure(data={"directory": str(place), "s3": {"kmsKey": "alias/files"}})
    alone.environment["AWS_ENDPOINT_URL_S3"] = moto.endpoint_url
    alone.run("--full").ended(0)
    place.assert_whole()
    for key in place.listed():
        head = place.s3.head_object(Bucket=place.bucket, Key=f"{place.prefix}/{key}")
        assert head["ServerSideEncryption"] == "aws:kms", key
    lose_the_machine(alone)
    alone.run("sync").ended(0)
    lose_the_machine(alone)
    alone.run("rollback", "--yes").ended(0)
    place.assert_whole()


def test_what_is_encrypted_here_is_so_there(
    alone: Operator, s9: S9Database, place: PlaceInS3
) -> None:
    small_trade(s9)
    identity, public = new_identity()
    key = alone.directory / "key"
    key.write_text(f"{identity}\n")
    alone.configure(data={"directory": str(place), "recipient": str(public)})
    alone.run("--full").ended(0)
    names = [name for name in place.index() if name.startswith(("extracted/", "transformed/"))]
    assert names
    assert all(name.endswith((".age", ".sums.json")) for name in names), names
    lose_the_machine(alone)
    alone.run("--identity", str(key), "--phase", "verify").ended(0)
    manifest = orjson.loads((alone.data / "manifest.json").read_bytes())
    assert manifest["sealed"]
