"""A target to rehearse on: throw-away tables, in an AWS that is started for them or in the server
of `target.useLocalStack`. The configured tables are not looked at.

The names of throw-away tables are of the data directory, in which one rehearsal is at work at a
time: those that one has left that was killed are removed by the next. An AWS that was started ends
with the process that has started it.
"""

from __future__ import annotations

import hashlib
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from utils.config import BATCH, Config, TargetConfig
from utils.dynamodb.client import ResourceBusy, ResourceMissing
from utils.dynamodb.retrying import control
from utils.embedded.aws import EmbeddedAws
from utils.embedded.ourselves import AWS, among_ourselves
from utils.entities import ENTITIES
from utils.error_handler import MigrationError, TargetError
from utils.logger import get_logger
from utils.wording.invocation import again

_LOOKS, _BETWEEN = 300, 0.2


@contextmanager
def throw_away_target(config: Config) -> Iterator[Config]:
    """The configuration of a rehearsal on throw-away tables, for as long as the context lasts.

    Raises ConfigurationError when an AWS has to be started and is not installed, TargetError when
    tables of an earlier rehearsal cannot be removed.
    """
    if config.target.use_local_stack:
        target = replace(config.target, create_tables=True, **_names(config))
        remove_tables(target)
        try:
            yield _onto(config, target)
        finally:
            with suppress(MigrationError):  # what happened is told; the next one removes them
                remove_tables(target)
        return
    with among_ourselves(AWS), EmbeddedAws() as aws:
        get_logger().info("Rehearsing on an AWS that was started for it at %s", aws.endpoint_url)
        target = replace(
            config.target,
            use_local_stack=True,
            endpoint=aws.endpoint_url,
            profile=None,
            create_tables=True,
        )
        yield _onto(config, target)


def _onto(config: Config, target: TargetConfig) -> Config:
    """As fast as it goes, without what only makes sense for tables that are to stay."""
    return replace(
        config,
        target=target,
        migration=replace(
            config.migration,
            backup_before_load=False,
            rollback_on_failure=False,
            max_write_units=None,
            batch_delay=0,
        ),
        load=replace(config.load, method=BATCH),
        backup=replace(config.backup, enabled=False, point_in_time_recovery="ignore", native=False),
    )


def _names(config: Config) -> dict[str, Any]:
    """The settings that name throw-away tables, for this data directory on this machine."""
    place = f"{platform.node()}:{os.path.realpath(Path(config.data.directory))}"
    own = hashlib.sha256(place.encode()).hexdigest()[:12]
    return {shape.table_setting: f"rehearsal-{own}-{shape.name}" for shape in ENTITIES}


def remove_tables(target: TargetConfig) -> None:
    """Remove the tables of a target, whichever there are. Raises TargetError."""
    for shape in ENTITIES:
        name = target.table(shape.name)
        for _ in range(_LOOKS):
            try:
                with suppress(ResourceBusy):  # it is being created, or deleted
                    control(target, "DeleteTable", {"TableName": name})
            except ResourceMissing:
                break
            time.sleep(_BETWEEN)
        else:
            raise TargetError(
                f"the table {name} of a rehearsal cannot be removed: it is still there",
                remedy=f"delete it by hand, then run: {again()}",
            )
