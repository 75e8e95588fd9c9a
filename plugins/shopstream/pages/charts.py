"""Charts as drawings: values and times become positions in a box of 100 by 100, which a template draws as inline SVG.

The box is stretched to whatever room there is, so text is not in it but beside it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

Reading = tuple[datetime, float | None]

_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
_THOUSANDS = (("G", 1e9), ("M", 1e6), ("k", 1e3))


@dataclass(frozen=True)
class Point:
    """A value in the box; y grows downwards, as in SVG."""

    x: float
    y: float
    title: str


@dataclass(frozen=True)
class Tick:
    """A label at a position of an axis, percent of its length."""

    position: float
    label: str


@dataclass(frozen=True)
class Chart:
    """A line over time.

    Attributes:
        title: What is drawn.
        path: The line in SVG's language; it has a gap where there is no value.
        points: The values.
        ticks: Labels of the vertical axis, from the top.
        first: Time of the left edge.
        last: Time of the right edge.
        newest: The newest value, for people; None where there is no value.
    """

    title: str
    path: str
    points: tuple[Point, ...]
    ticks: tuple[Tick, ...]
    first: datetime | None
    last: datetime | None
    newest: str | None


def line(
    title: str,
    readings: Sequence[Reading],
    tell: Callable[[float], str] | None = None,
    top: float | None = None,
    bottom: float | None = None,
    whole: bool = False,
) -> Chart:
    """Draw values over time.

    Args:
        title: What is drawn.
        readings: Time and value, oldest first; None leaves a gap.
        tell: Writes a value for people (default: `short`).
        top: Upper end of the axis, if that is fixed.
        bottom: Lower end of the axis, if that is fixed.
        whole: Whether values are counts, and a tick between two of them would mean nothing.
    """
    tell = tell or short
    known = [(moment, value) for moment, value in readings if value is not None]
    if not known:
        return Chart(title, "", (), (), None, None, None)
    low, high, ticks = _axis([value for _, value in known], bottom, top, 1.0 if whole else 0.0)
    first, last = readings[0][0], readings[-1][0]
    span = (last - first).total_seconds()
    path: list[str] = []
    points: list[Point] = []
    pen = "M"
    for moment, value in readings:
        if value is None:
            pen = "M"
            continue
        x = 100 * (moment - first).total_seconds() / span if span else 50.0
        y = 100 * (high - value) / (high - low)
        path.append(f"{pen}{x:.2f} {y:.2f}")
        points.append(Point(round(x, 2), round(y, 2), f"{moment:%Y-%m-%d %H:%M} UTC: {tell(value)}"))
        pen = "L"
    labels = tuple(Tick(100 * (high - tick) / (high - low), tell(tick)) for tick in ticks)
    return Chart(title, " ".join(path), tuple(points), labels, first, last, tell(known[-1][1]))


def short(value: float) -> str:
    """Write a number with three digits at most: 940, 12.5k, 1.2M."""
    for unit, size in _THOUSANDS:
        if abs(value) >= size:
            return f"{value / size:.3g}{unit}"
    return f"{value:.3g}"


def percent(value: float) -> str:
    """Write a percentage; what is nearly 100 % is not called 100 %."""
    return f"{math.floor(value * 100) / 100:g} %"


def share(value: float) -> str:
    """Write a percentage that matters most where it is small."""
    return f"{value:.3g} %"


def _axis(
    known: Sequence[float], bottom: float | None, top: float | None, least: float
) -> tuple[float, float, list[float]]:
    """Choose the ends of the axis and two to six round ticks between them."""
    low = min(known) if bottom is None else min(bottom, *known)
    high = max(known) if top is None else max(top, *known)
    if math.isclose(low, high):
        # A flat line is drawn in the middle, not on an edge.
        margin = abs(high) * 0.1 or 1.0
        low, high = (low - margin if bottom is None else low), (high + margin if top is None else high)
        low = low - margin if math.isclose(low, high) else low
    step = max(_step((high - low) / 4), least)
    low = low if bottom is not None and low == bottom else step * math.floor(low / step)
    high = high if top is not None and high == top else step * math.ceil(high / step)
    count = math.floor((high - low) / step + 1e-9)
    return low, high, [high - step * number for number in range(count + 1)]


def _step(rough: float) -> float:
    size = 10.0 ** math.floor(math.log10(rough))
    return next(size * factor for factor in _STEPS if size * factor >= rough * (1 - 1e-9))
