"""What following the log needs at S9, and what it leaves there: for `sync --check`, `sync --stop`,
`check` and `clean`."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import orjson

from extract.change_log.requirement import Requirement
from extract.entities import entities_of
from extract.following.opening import drop_log, leftovers, requirements
from extract.following.tables import followed_tables
from utils.config import Config
from utils.error_handler import ArtifactError
from utils.files.workspace import Workspace
from utils.logger import get_logger
from utils.run.following import Following
from utils.run.manifest import Manifest
from utils.run.run import Run

PREFIX = "s9_migrate_"


def needs(config: Config) -> list[Requirement]:
    """What following needs at S9, each with whether it is there. Raises SourceError."""
    with tempfile.TemporaryDirectory(prefix="check-") as scratch:
        run = Run(config, Workspace(Path(scratch)), Manifest.new())
        followed = followed_tables(run, entities_of(config.source.layout))
    return requirements(config.source, followed, name_of_log(config))


def name_of_log(config: Config) -> str:
    """What is called so at S9: the same for the same migration, from wherever it is followed."""
    both = orjson.dumps([config.source.identity(), config.target.identity()])
    return PREFIX + hashlib.sha256(both).hexdigest()[:12]


def known_following(config: Config, files: Workspace) -> Following:
    """How far S9's log is followed from a data directory. Of a file that is damaged no more is
    known than what is called so at S9: with a warning, the log is to be followed anew then. Raises
    StorageError."""
    try:
        return Following.load(files.following)
    except ArtifactError as error:
        get_logger().warning(
            "%s: how far S9's log was followed is not known any more", error.message
        )
        return Following(name=name_of_log(config))


def needs_text(found: Sequence[Requirement]) -> str:
    """The same for a screen: a line each, and below what is missing what is run for it."""
    return "\n".join(line for each in found for line in _lines(each))


def _lines(need: Requirement) -> Iterator[str]:
    yield f"  {'ok     ' if need.holds else 'missing'}  {need.told}"
    if need.holds:
        return
    places = {
        "on a server of your own": need.own,
        "on Amazon RDS": need.rds,
        "on Amazon Aurora": need.aurora,
    }
    for place, lines in places.items():
        if lines:
            yield f"             {place}:"
            yield from (f"                 {line}" for line in lines)


def stop(config: Config, files: Workspace) -> list[str]:
    """Take away what S9 keeps for who follows from this data directory; returns what was taken
    away, in words. Raises SourceError and StorageError."""
    name = known_following(config, files).name
    taken = drop_log(config.source, name) if name else []
    files.following.unlink(missing_ok=True)
    return taken


def forgotten(config: Config, files: Workspace) -> list[str]:
    """What S9 keeps for whoever has followed it once, and not for this data directory, in words.
    Raises SourceError."""
    own = known_following(config, files).name
    return [each for each in leftovers(config.source, PREFIX) if not own or own not in each]
