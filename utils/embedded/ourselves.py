"""An environment in which nothing leads away from the servers that were started for a command."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

# What leads to another AWS, or to this one in another way; and the same of databases.
AWS = "AWS[A-Z_]*|REQUESTS_CA_BUNDLE|.*_PROXY"
DATABASES = "(PG|MYSQL)[A-Z_]*"


@contextmanager
def among_ourselves(leading_away: str = f"{AWS}|{DATABASES}") -> Iterator[None]:
    """As long as this lasts nothing in the environment or the home directory says how to reach
    servers which belong to the command that has started them: `leading_away` is a pattern of names
    of variables."""
    pattern = re.compile(leading_away, re.IGNORECASE)
    before = {name: text for name, text in os.environ.items() if pattern.fullmatch(name)}
    for name in before:
        del os.environ[name]
    own = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
    os.environ.update(own)
    try:
        yield
    finally:
        for name in own:
            del os.environ[name]
        os.environ.update(before)
