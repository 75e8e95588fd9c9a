"""Statistics of the measurements, without any measuring."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import linear_regression

# A bound is about peaks: between them a series may fall as deep as it likes, at whatever rhythm (a state store's files
# until they are merged, what is open by day and by night). A median would say more about the moments of the samples.
_PEAK = 0.9
# A series grows if the last third's peak is more than a tenth above the first's and still rises against the second's:
# memory that is filled once (heap, caches, compiled code) levels off, a leak does not.
_RISE = 1.10
_STILL_RISING = 1.04


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least `share` (0 to 1) of all values do not exceed.

    Raises:
        ValueError: There are no values.
    """
    if not values:
        raise ValueError("no values")
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


@dataclass(frozen=True)
class Trend:
    """How a series moves over a run.

    Attributes:
        first: Peak of its first third: what nine of ten values do not exceed.
        middle: Peak of its second third.
        last: Peak of its last third.
        slope: Least-squares slope over the last two thirds, per unit of the other axis.
    """

    first: float
    middle: float
    last: float
    slope: float

    @property
    def grows(self) -> bool:
        """Whether the series rises, and does not level off."""
        return self.last > _RISE * self.first and self.last > _STILL_RISING * self.middle

    @property
    def verdict(self) -> str:
        """ "flat" or "grows"."""
        return "grows" if self.grows else "flat"


def trend(positions: Sequence[float], values: Sequence[float | None]) -> Trend | None:
    """Return the trend of a series; None if it has fewer than six values.

    Args:
        positions: Where each value was taken, ascending (events, seconds).
        values: The series; None where there was nothing to measure.
    """
    known = [(position, value) for position, value in zip(positions, values, strict=True) if value is not None]
    if len(known) < 6:
        return None
    third = len(known) // 3
    series = [value for _, value in known]
    late = known[third:]
    moving = late[0][0] != late[-1][0]
    slope = linear_regression([one[0] for one in late], [one[1] for one in late]).slope if moving else 0.0
    first, middle, last = (percentile(part, _PEAK) for part in (series[:third], series[third:-third], series[-third:]))
    return Trend(first, middle, last, slope)


def table(rows: Sequence[Sequence[str]]) -> str:
    """Lay out rows of cells, the first row being the head; all but the first column are aligned to the right."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
