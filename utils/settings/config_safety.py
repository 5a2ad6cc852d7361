"""What is unwise about the files that hold the configuration: who can read them, and passwords in
clear. It is worth a warning, and never stops a run."""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from utils.config import Config, NewTablesConfig, Secret, json_name, section_type

_LONG_DELAY = 60  # seconds; in milliseconds it was a usual value once
_ONLY_VARIABLES = re.compile(r"(\$\{[A-Za-z_][A-Za-z0-9_]*(:-)?\})*")


def concerns(path: Path, document: Mapping[str, Any], environment_file: Path) -> Iterator[str]:
    """Sentences about a configuration file, what is in it (variables unresolved), and .env."""
    for file in (path, environment_file):
        mode = stat.S_IMODE(file.stat().st_mode) if file.is_file() else 0
        if mode & 0o077:
            yield f"{file.name} can be read by others (mode {mode:03o}): chmod 600 {file}"
    for setting, value in secrets_in(document):
        if not is_by_variable(value):
            variable = "S9_PASSWORD" if setting == "source.password" else "A_VARIABLE"
            yield (
                f"{path.name} holds {setting} in clear: write ${{{variable}}} there, and the "
                "value in .env or the environment"
            )


def is_by_variable(value: str) -> bool:
    """Whether a setting names variables of the environment, and nothing that they could hold."""
    return bool(_ONLY_VARIABLES.fullmatch(value))


def questions(config: Config) -> Iterator[str]:
    """Sentences that ask whether a setting was meant as it stands."""
    delay = config.migration.retry_delay
    if delay > _LONG_DELAY:
        yield (
            f"migration.retryDelay is {delay:g} seconds: were milliseconds meant? "
            f"Then write {delay / 1000:g}"
        )
    if config.load.new_tables != NewTablesConfig() and not config.load.imports:
        yield (
            "load.newTables is for tables that are imported, and load.method is "
            f"{config.load.method}: were they to be? Then set load.method to import"
        )


def secrets_in(document: Mapping[str, Any], kind: type = Config) -> Iterator[tuple[str, str]]:
    """The settings declared as secrets that a document gives, with their values."""
    for declared in fields(kind):
        name = json_name(declared.name)
        value = document.get(name)
        inner = section_type(kind, declared.name)
        if inner and isinstance(value, Mapping):
            yield from ((f"{name}.{rest}", text) for rest, text in secrets_in(value, inner))
        elif isinstance(declared.default, Secret) and isinstance(value, str):
            yield name, value
