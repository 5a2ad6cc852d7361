"""Where things are, for tests in whatever folder: the one place that counts the folders upwards."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
