"""The settings that decide where an entity's items go, as a digest."""

from __future__ import annotations

from utils.run.run import Run, settings_digest


def settings(run: Run, entity: str) -> str:
    """The digest of it."""
    target = run.config.target
    return settings_digest(target.region, target.endpoint_url, target.table(entity))
