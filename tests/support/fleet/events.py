"""What a fleet tells of itself."""

from __future__ import annotations

from typing import Any

from utils.telemetry.events import FleetAtWork, Step


def fleet_at_work(step: Step, **otherwise: Any) -> FleetAtWork:
    """Two machines with four executors, which are at work on a step; but for what is said
    otherwise."""
    there: dict[str, Any] = {
        "software": "Spark 4.1.4",
        "master": "spark://head:7077",
        "machines": 2,
        "executors": 4,
        "cores": 16,
        "tasks": 12,
    }
    return FleetAtWork(step=step, **{**there, **otherwise})
