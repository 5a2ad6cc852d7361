"""Pictures of a run as SVG, drawn by the server: a time line of its steps, and what it did a
second.

Places along the time are percentages of the width, so that text keeps its size on a phone and on
paper; a curve is stretched. Whatever a picture says is in a table of the page as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from utils.wording.figures import lasting
from utils.wording.terminal import printable

_ROW, _BAR = 34, 10  # pixels: a row of the time line, a bar in it
_HEIGHT, _TOP, _WAITS = 150, 20, 14  # pixels of a curve, above it, and of the waits below
_POINTS = 200  # at the most, along a curve
_NARROWEST = 0.4  # per cent: of a bar that is to be seen


@dataclass(frozen=True)
class Bar:
    """A stretch of a row, in seconds; `kind` is a class of the style sheet."""

    began: float
    ended: float
    kind: str = ""


@dataclass(frozen=True)
class BarRow:
    """A row of a time line: its name, what stands beside that, and its bars."""

    name: str
    beside: str
    bars: Sequence[Bar]


@dataclass(frozen=True)
class Amount:
    """So much was done, or waited for, between two moments (seconds)."""

    began: float
    ended: float
    amount: float


def time_line(label: str, rows: Sequence[BarRow], seconds: float) -> Markup:
    """The rows one below the other, over `seconds`; "" where there is nothing to draw."""
    if not rows or seconds <= 0:
        return Markup()
    height = _ROW * len(rows) + 20
    drawn = [_svg_begin(label, height), *_axis(seconds, height - 16)]
    for place, row in enumerate(rows):
        top = place * _ROW
        drawn.append(
            Markup('<text class="name" x="0" y="{}">{}<tspan dx="8" class="dim">{}</tspan></text>')
            .format(top + 13, printable(row.name), printable(row.beside))
        )  # fmt: skip
        track = '<rect class="track" x="0" y="{}" width="100%" height="{}" rx="2"/>'
        drawn.append(Markup(track).format(top + 18, _BAR))
        for bar in row.bars:
            left = _per_cent(bar.began, seconds)
            width = max(_per_cent(bar.ended - bar.began, seconds), _NARROWEST)
            drawn.append(
                Markup('<rect class="bar {}" x="{}%" y="{}" width="{}%" height="{}" rx="2"/>')
                .format(bar.kind, min(left, 100 - _NARROWEST), top + 18, width, _BAR)
            )  # fmt: skip
    return Markup().join([*drawn, Markup("</svg>")])


def rate_curve(
    label: str, done: Iterable[Amount], waits: Iterable[Amount], seconds: float
) -> Markup:
    """What was `done` a second, over `seconds`, and below it how much of that time was waited;
    "" where nothing was done."""
    if seconds <= 0:
        return Markup()
    rates = _spread(done, seconds)
    most = max(rates, default=0.0)
    if most <= 0:
        return Markup()
    plot = _HEIGHT - _TOP - _WAITS - 20
    points = [
        f"{1000 * place / len(rates):.1f},{100 - 100 * rate / most:.1f}"
        f" {1000 * (place + 1) / len(rates):.1f},{100 - 100 * rate / most:.1f}"
        for place, rate in enumerate(rates)
    ]
    drawn = [
        _svg_begin(label, _HEIGHT),
        Markup('<text x="0" y="13">{} a second</text>').format(f"{most:,.0f}"),
        Markup('<line class="grid" x1="0" x2="100%" y1="{0}" y2="{0}"/>').format(_TOP),
        Markup('<line class="grid" x1="0" x2="100%" y1="{0}" y2="{0}"/>').format(_TOP + plot),
        Markup(
            '<svg x="0" y="{}" width="100%" height="{}" viewBox="0 0 1000 100" '
            'preserveAspectRatio="none"><polygon class="area" points="0,100 {} 1000,100"/>'
            '<polyline class="curve" vector-effect="non-scaling-stroke" points="{}"/></svg>'
        ).format(_TOP, plot, " ".join(points), " ".join(points)),
        *_axis(seconds, _HEIGHT - 16),
    ]
    waited = _spread(waits, seconds)
    for place, share in enumerate(waited):
        if share > 0:
            height = max(2, round(min(share, 1.0) * _WAITS))
            drawn.append(
                Markup('<rect class="waits" x="{}%" y="{}" width="{}%" height="{}"/>').format(
                    round(100 * place / len(waited), 2),
                    _TOP + plot + _WAITS + 2 - height,
                    round(100 / len(waited), 2),
                    height,
                )
            )
    return Markup().join([*drawn, Markup("</svg>")])


def _spread(amounts: Iterable[Amount], seconds: float) -> list[float]:
    """The amounts a second, in as many equal stretches as the time has seconds, _POINTS at most."""
    count = max(1, min(_POINTS, round(seconds)))
    width = seconds / count
    found = [0.0] * count
    for each in amounts:
        length = max(each.ended - each.began, 0.001)
        first = min(int(each.began / width), count - 1)
        last = min(int(each.ended / width), count - 1)
        for place in range(first, last + 1):
            begin, end = max(each.began, place * width), min(each.ended, (place + 1) * width)
            part = max(end - begin, 0.0) / length if first != last else 1.0
            found[place] += each.amount * part / width
    return found


def _svg_begin(label: str, height: int) -> Markup:
    return Markup(
        '<svg class="chart" role="img" aria-label="{}" width="100%" height="{}" '
        'xmlns="http://www.w3.org/2000/svg">'
    ).format(label, height)


def _axis(seconds: float, top: int) -> list[Markup]:
    """The time below a picture: its begin, its middle and its end."""
    return [
        Markup('<line class="grid" x1="0" x2="100%" y1="{0}" y2="{0}"/>').format(top),
        Markup('<text x="0" y="{}">0</text>').format(top + 14),
        Markup('<text x="50%" y="{}" text-anchor="middle">{}</text>').format(
            top + 14, lasting(seconds / 2)
        ),
        Markup('<text x="100%" y="{}" text-anchor="end">{}</text>').format(
            top + 14, lasting(seconds)
        ),
    ]


def _per_cent(seconds: float, of: float) -> float:
    return round(100 * max(seconds, 0.0) / of, 2)
