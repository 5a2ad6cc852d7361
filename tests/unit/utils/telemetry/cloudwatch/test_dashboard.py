"""docs/cloudwatch-dashboard.json is a body that PutDashboard takes, and asks for what is sent.

The rules are those of "Dashboard Body Structure and Syntax" in the CloudWatch API reference."""

from __future__ import annotations

import re
from itertools import combinations
from typing import Any

import orjson

from tests.support.places import ROOT
from utils.config import LoggingConfig
from utils.telemetry.cloudwatch.metrics import DIMENSIONS, NAMESPACE, UNITS

BODY: dict[str, Any] = orjson.loads((ROOT / "docs" / "cloudwatch-dashboard.json").read_bytes())
SEARCH = re.compile(
    r"SEARCH\('\{([\w,]+)\} MetricName=\"(\w+)\"', '(Average|Sum|Minimum|Maximum)'(, \d+)?\)"
)


def metric_widgets() -> list[dict[str, Any]]:
    return [each["properties"] for each in BODY["widgets"] if each["type"] == "metric"]


def test_the_widgets_lie_beside_each_other() -> None:
    assert set(BODY) <= {"start", "end", "periodOverride", "widgets", "variables"}
    places = []
    for widget in BODY["widgets"]:
        assert set(widget) == {"type", "x", "y", "width", "height", "properties"}
        assert widget["type"] in ("metric", "text", "log")
        assert widget["width"] >= 1
        assert widget["x"] + widget["width"] <= 24
        across = range(widget["x"], widget["x"] + widget["width"])
        down = range(widget["y"], widget["y"] + widget["height"])
        places.append({(x, y) for x in across for y in down})
    assert not [pair for pair in combinations(places, 2) if pair[0] & pair[1]]


def test_every_metric_that_is_sent_is_shown_and_no_other() -> None:
    shown = set()
    for widget in metric_widgets():
        assert widget["region"]
        assert widget["view"] in ("timeSeries", "singleValue", "gauge", "bar", "pie", "table")
        ids = [line["id"] for (line,) in widget["metrics"]]
        assert len(set(ids)) == len(ids)
        assert all(re.fullmatch(r"[a-z]\w*", each) for each in ids)
        for (line,) in widget["metrics"]:
            found = SEARCH.fullmatch(line["expression"])
            assert found, line
            assert tuple(found[1].split(",")) == (NAMESPACE, *DIMENSIONS)
            assert set(re.findall(r"PROP\('Dim\.(\w+)'\)", line["label"])) == set(DIMENSIONS)
            shown.add(found[2])
    assert shown == set(UNITS)


def test_the_log_is_looked_for_where_it_is_written() -> None:
    (log,) = (each["properties"] for each in BODY["widgets"] if each["type"] == "log")
    assert log["query"].startswith(f"SOURCE '{LoggingConfig().cloud_watch_group}' |")
    for name in ("level", "runId", "message"):
        assert name in log["query"]
