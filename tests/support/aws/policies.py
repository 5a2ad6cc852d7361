"""The IAM policies of docs/iam-policy.json, and what they allow."""

from __future__ import annotations

from itertools import product
from typing import Any

import orjson

from tests.support.places import ROOT

POLICIES: dict[str, Any] = orjson.loads((ROOT / "docs" / "iam-policy.json").read_bytes())[
    "policies"
]

Permission = tuple[str, str]


def permissions(*policies: str) -> set[Permission]:
    """What policies allow: every action on every resource."""
    return {
        pair
        for name in policies
        for statement in POLICIES[name]["Statement"]
        for pair in product(statement["Action"], statement["Resource"])
    }
