"""Which ways of loading can be used."""

from __future__ import annotations

from load.s3_import.bulk_port import require_bulk
from utils.config import BULK, Config


def require_usable(config: Config) -> None:
    """Raise ConfigurationError for a method of loading that cannot be used."""
    if config.load.method == BULK:
        require_bulk(config.target)
