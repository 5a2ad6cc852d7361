"""What following the log needs there."""

from __future__ import annotations

from collections.abc import Sequence

from extract.change_log.change_log import Followed
from extract.change_log.requirement import Requirement
from utils.config import SourceConfig


def mysql_requirements(config: SourceConfig, followed: Sequence[Followed]) -> list[Requirement]:
    """As `requirements` (extract/following/opening.py)."""
    raise NotImplementedError
