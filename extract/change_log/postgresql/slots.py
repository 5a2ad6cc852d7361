"""Slots and publications that the tool has made."""

from __future__ import annotations

from utils.config import SourceConfig


def slots_of(config: SourceConfig, prefix: str) -> list[str]:
    """As `leftovers` (extract/change_log/opening.py)."""
    raise NotImplementedError


def drop_slot(config: SourceConfig, name: str) -> list[str]:
    """As `drop_log` (extract/change_log/opening.py)."""
    raise NotImplementedError
