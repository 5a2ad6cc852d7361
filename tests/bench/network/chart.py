"""A chart of items/s against the time to an answer, as SVG: readable in light and dark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from math import log10
from typing import Any

_WIDTH, _HEIGHT = 860, 460
_LEFT, _RIGHT, _TOP, _BOTTOM = 84, 206, 70, 56
_APART = 17  # pixels between two names
_ROUNDS = 200  # in which names make way for each other
_STYLE = """
text { font: 13px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #52514e }
.title { font-size: 16px; font-weight: 600; fill: #0b0b0b }
.name { fill: #0b0b0b }
.paper { fill: #fcfcfb }
.grid { stroke: #e1e0d9 }
.axis { stroke: #c3c2b7 }
.line { fill: none; stroke-width: 2; stroke-linejoin: round; stroke: var(--of) }
.thick { stroke-width: 3.5 }
.dashed { stroke-dasharray: 6 4 }
.dot { fill: var(--of); stroke: #fcfcfb; stroke-width: 1.5 }
.lead { stroke: var(--of); stroke-width: 1 }
.own { --of: #2a78d6 }
.fixed { --of: #8f8d85 }
.writer { --of: #eb6834 }
.sink { --of: #1baf7a }
@media (prefers-color-scheme: dark) {
  text { fill: #c3c2b7 }
  .title, .name { fill: #ffffff }
  .paper { fill: #1a1a19 }
  .grid { stroke: #2c2c2a }
  .axis { stroke: #55544f }
  .dot { stroke: #1a1a19 }
  .own { --of: #3987e5 }
  .fixed { --of: #98968e }
  .writer { --of: #d95926 }
  .sink { --of: #199e70 }
}"""


@dataclass(frozen=True)
class Curve:
    """A name, and items a second by milliseconds."""

    name: str
    points: tuple[tuple[int, int], ...]

    def as_json(self) -> dict[str, object]:
        """As it is kept."""
        return {"name": self.name, "points": self.points}

    @classmethod
    def of(cls, kept: Mapping[str, Any]) -> Curve:
        """As it was kept."""
        return cls(kept["name"], tuple((x, y) for x, y in kept["points"]))

    @property
    def look(self) -> tuple[str, str]:
        """The classes of its colour and of its line."""
        if self.name.startswith("own choice"):
            return "own", "line dashed" if "TLS" in self.name else "line thick"
        if self.name.endswith("in flight"):
            return "fixed", "line"
        return ("sink", "line dashed") if "sink" in self.name else ("writer", "line")


@dataclass(frozen=True)
class _Scale:
    """From milliseconds and items a second (logarithmic) to pixels; `rates` have a line across."""

    longest: int
    rates: tuple[int, ...]

    @classmethod
    def of(cls, curves: Sequence[Curve]) -> _Scale:
        found = [y for curve in curves for _, y in curve.points]
        longest = max(x for curve in curves for x, _ in curve.points)
        steps = [step * 10**power for power in range(9) for step in (1, 2, 5)]
        low = max(step for step in steps if step <= max(1, min(found)))
        high = min(step for step in steps if step >= max(2, *found) and step > low)
        return cls(longest, tuple(step for step in steps if low <= step <= high))

    def x(self, milliseconds: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * milliseconds / max(1, self.longest)

    def y(self, rate: float) -> float:
        low, high = log10(self.rates[0]), log10(self.rates[-1])
        part = (log10(max(1, rate)) - low) / (high - low)
        return _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * part


def chart(curves: Sequence[Curve]) -> str:
    """The chart of these curves (each with a point at least), as an SVG file."""
    scale = _Scale.of(curves)
    delays = sorted({x for curve in curves for x, _ in curve.points})
    title = "Items a second of a load, by how long each answer takes"
    told = "; ".join(
        f"{curve.name}: " + ", ".join(f"{y:,} at {x} ms" for x, y in curve.points)
        for curve in curves
    )
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img">',
        f"<title>{title}</title>",
        f"<desc>{escape(told)}</desc>",
        f"<style>{_STYLE}</style>",
        f'<rect class="paper" width="{_WIDTH}" height="{_HEIGHT}"/>',
        f'<text class="title" x="{_LEFT}" y="28">{title}</text>',
        f'<text x="{_LEFT}" y="49">Batches of 25 items, two cores; the scale is logarithmic</text>',
        *_grid(scale, delays),
        *(_line(curve, scale) for curve in curves),
        *_names(curves, scale),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _grid(scale: _Scale, delays: Sequence[int]) -> list[str]:
    right, floor_ = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    parts = []
    for rate in scale.rates:
        y = scale.y(rate)
        kind = "axis" if rate == scale.rates[0] else "grid"
        parts.append(_stroke(kind, _LEFT, y, right, y))
        parts.append(f'<text x="{_LEFT - 10}" y="{y + 4:.1f}" text-anchor="end">{rate:,}</text>')
    for delay in delays:
        x = scale.x(delay)
        parts.append(_stroke("axis", x, floor_, x, floor_ + 5))
        parts.append(f'<text x="{x:.1f}" y="{floor_ + 22}" text-anchor="middle">{delay} ms</text>')
    middle = (_LEFT + right) / 2
    parts.append(
        f'<text x="{middle:.1f}" y="{_HEIGHT - 12}" text-anchor="middle">'
        "from a request to its answer</text>"
    )
    return parts


def _line(curve: Curve, scale: _Scale) -> str:
    colour, kind = curve.look
    points = [(scale.x(x), scale.y(y)) for x, y in curve.points]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dots = "".join(f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="4"/>' for x, y in points)
    return f'<g class="{colour}"><polyline class="{kind}" points="{path}"/>{dots}</g>'


def _names(curves: Sequence[Curve], scale: _Scale) -> list[str]:
    """The name of each curve beside its end, with its last rate; no two on top of each other."""
    ends = sorted(curves, key=lambda curve: -curve.points[-1][1])
    wanted = [scale.y(curve.points[-1][1]) for curve in ends]
    places = _spread(wanted)
    parts = []
    for curve, place in zip(ends, places, strict=True):
        x, y = scale.x(curve.points[-1][0]), scale.y(curve.points[-1][1])
        parts.append(
            f'<g class="{curve.look[0]}">{_stroke("lead", x + 7, y, x + 24, place)}</g>'
            f'<text class="name" x="{x + 28:.1f}" y="{place + 4:.1f}">{escape(curve.name)}'
            f" · {curve.points[-1][1]:,}</text>"
        )
    return parts


def _spread(wanted: Sequence[float]) -> list[float]:
    """Places as near to the `wanted` ones (in order) as can be, `_APART` from each other."""
    places = list(wanted)
    for _ in range(_ROUNDS):
        for n in range(1, len(places)):
            lacks = max(0.0, _APART - (places[n] - places[n - 1])) / 2
            places[n - 1] -= lacks
            places[n] += lacks
    return places


def _stroke(kind: str, x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'
