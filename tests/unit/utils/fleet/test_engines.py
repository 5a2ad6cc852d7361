"""What the engine that is configured needs is told when it is missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from utils.config import EngineConfig
from utils.dynamodb.backoff import RetryPolicy
from utils.error_handler import ConfigurationError
from utils.fleet import engines
from utils.fleet.engines import fleet_of

SPARK = EngineConfig(type="spark")
POLICY = RetryPolicy(1, 0.0)


def test_without_pyspark_it_is_told_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "find_spec", lambda _: None)
    with pytest.raises(ConfigurationError, match="has no pyspark") as raised:
        fleet_of(SPARK, POLICY, tmp_path / "spark.log", tmp_path)
    assert "requirements-spark.txt" in raised.value.remedy
    assert fleet_of(EngineConfig(), POLICY, tmp_path / "spark.log", tmp_path) is None


def test_without_java_it_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "find_spec", lambda _: object())
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(ConfigurationError, match="there is no Java here"):
        fleet_of(SPARK, POLICY, tmp_path / "spark.log", tmp_path)
