"""Figures about all documents of a check together, and how they differ from earlier ones.

A suite names them in `meta.figures`, and expects something of them as of a column:

    "figures": {"price_shift": {"kind": "quantile_shift", "column": "price"}}

| kind | the figure |
|---|---|
| `age_minutes` | minutes from the newest date ever seen in the column to now |
| `volume_ratio` | documents dated in the newest complete hour / median of the same hour of the 7 days before |
| `mix_shift` | half the sum of differences between the shares of each value now and before: 0 the same, 1 all other |
| `quantile_shift` | the greatest factor by which one of the quartiles and the 95th percentile has moved, either way |
| `spread` | standard deviation of the column |
| `distinct` | different values of the column (up to 1,000) |

"Before" are the profiles that earlier checks of the last days stored with their results, so nothing is read again. A
figure is null, and what is expected of it holds, where there is too little to compare.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median
from typing import Any, Protocol

import numpy as np
import pandas as pd

from spark_jobs.mongo import Document

# Kinds, and what the column must hold.
KINDS: dict[str, frozenset[str]] = {
    "age_minutes": frozenset({"date"}),
    "volume_ratio": frozenset({"date"}),
    "mix_shift": frozenset({"string"}),
    "quantile_shift": frozenset({"number"}),
    "spread": frozenset({"number"}),
    "distinct": frozenset({"string"}),
}
# Shares and quantiles of fewer documents move by chance.
ENOUGH_NOW, ENOUGH_BEFORE = 1_000, 5_000
# An event may be so late and still be counted: an hour is complete after that.
LATENESS = timedelta(minutes=10)
DAYS, ENOUGH_DAYS = 7, 2

_QUANTILES = (0.25, 0.5, 0.75, 0.95)
# Twenty classes for each factor of ten: a quantile is known to 12 %.
_CLASSES = 20
_ZERO = "zero"
_MOST_VALUES = 1_000
_HOUR = timedelta(hours=1)


class Counting(Protocol):
    """Counts the documents whose date lies in [start, end)."""

    def __call__(self, column: str, start: datetime, end: datetime) -> int:
        """Return how many there are."""


@dataclass(frozen=True)
class FigureSpec:
    """One figure of a suite: its kind (see `KINDS`) and the column it is about."""

    kind: str
    column: str


@dataclass(frozen=True)
class Figure:
    """A figure: its value, null where it cannot be told, and what it was made of, for people."""

    value: float | None
    detail: str


def parse_figures(content: Any, columns: Mapping[str, str]) -> dict[str, FigureSpec]:
    """Read `meta.figures`.

    Raises:
        ValueError: It is malformed; the message continues the name of the part.
    """
    if not isinstance(content, dict):
        raise ValueError(" is not an object")
    figures = {}
    for name, one in content.items():
        if not isinstance(one, dict) or set(one) != {"kind", "column"}:
            raise ValueError(f".{name} is {one!r}, not an object of `kind` and `column`")
        if one["kind"] not in KINDS:
            raise ValueError(f".{name} has the kind {one['kind']!r}; known kinds are {', '.join(KINDS)}")
        if columns.get(one["column"]) not in KINDS[one["kind"]]:
            kinds = " or ".join(sorted(KINDS[one["kind"]]))
            raise ValueError(f".{name}: column {one['column']!r} is not among meta.columns as a {kinds}")
        figures[name] = FigureSpec(one["kind"], one["column"])
    return figures


class Profile:
    """What the figures of a check are made of, gathered batch by batch in little memory.

    Args:
        specs: The suite's figures.
    """

    def __init__(self, specs: Iterable[FigureSpec]) -> None:
        self._kinds: dict[str, set[str]] = {}
        for spec in specs:
            self._kinds.setdefault(spec.column, set()).add(spec.kind)
        self.counts: dict[str, Counter[str]] = {}
        self.newest: dict[str, datetime] = {}
        self.moments: dict[str, tuple[int, float, float]] = {}

    def add(self, frame: pd.DataFrame) -> None:
        """Take a batch in (columns as `frames.to_frame` makes them)."""
        for column, kinds in self._kinds.items():
            values = frame[column].dropna()
            if values.empty:
                continue
            if kinds & {"age_minutes", "volume_ratio"}:
                newest = values.max().to_pydatetime()
                self.newest[column] = max(newest, self.newest.get(column, newest))
            if "spread" in kinds:
                n, total, squares = self.moments.get(column, (0, 0.0, 0.0))
                numbers = values.to_numpy(dtype=float)
                self.moments[column] = (
                    n + len(numbers),
                    total + float(numbers.sum()),
                    squares + float(np.square(numbers).sum()),
                )
            if kinds & {"mix_shift", "distinct"}:
                self._count(column, values.value_counts().to_dict())
            if "quantile_shift" in kinds:
                self._count(column, _histogram(values.to_numpy(dtype=float)))

    def _count(self, column: str, counts: Mapping[Any, int]) -> None:
        known = self.counts.setdefault(column, Counter())
        for value, count in counts.items():
            if value in known or len(known) < _MOST_VALUES:
                known[str(value)] += int(count)

    def document(self) -> Document:
        """As it is stored with the result, for later checks to compare with."""
        # Keys of documents cannot hold every value; pairs can.
        counts = {column: [[value, count] for value, count in one.items()] for column, one in self.counts.items()}
        return {"counts": counts, "newest": self.newest}


def figures(
    specs: Mapping[str, FigureSpec],
    profile: Profile,
    history: Sequence[Mapping[str, Any]],
    now: datetime,
    counting: Counting,
) -> dict[str, Figure]:
    """Compute the figures of a check.

    Args:
        specs: The suite's figures by name.
        profile: Of this check.
        history: Profiles of earlier checks (`Profile.document`).
        now: The present.
        counting: Counts documents by date.
    """
    before: dict[str, Counter[str]] = {}
    newest = dict(profile.newest)
    for earlier in history:
        for column, pairs in earlier["counts"].items():
            before.setdefault(column, Counter()).update(dict(pairs))
        for column, moment in earlier["newest"].items():
            newest[column] = max(moment, newest.get(column, moment))
    return {name: _figure(spec, profile, before, newest, now, counting) for name, spec in specs.items()}


def _figure(
    spec: FigureSpec,
    profile: Profile,
    before: Mapping[str, Counter[str]],
    newest: Mapping[str, datetime],
    now: datetime,
    counting: Counting,
) -> Figure:
    column = spec.column
    if spec.kind in ("age_minutes", "volume_ratio"):
        if column not in newest:
            return Figure(None, "nothing yet")
        if spec.kind == "volume_ratio":
            return volume_ratio(column, newest[column], counting)
        return Figure((now - newest[column]) / timedelta(minutes=1), f"newest {newest[column]:%Y-%m-%d %H:%M} UTC")
    if spec.kind == "spread":
        n, total, squares = profile.moments.get(column, (0, 0.0, 0.0))
        return Figure(math.sqrt(max(squares / n - (total / n) ** 2, 0.0)) if n > 1 else None, f"{n:,} values")
    present = profile.counts.get(column, Counter())
    if spec.kind == "distinct":
        return Figure(float(len(present)) if present else None, f"{present.total():,} values")
    past = before.get(column, Counter())
    if present.total() < ENOUGH_NOW or past.total() < ENOUGH_BEFORE:
        return Figure(None, f"{present.total():,} values now, {past.total():,} before: too few to compare")
    return mix_shift(present, past) if spec.kind == "mix_shift" else quantile_shift(present, past)


def volume_ratio(column: str, newest: datetime, counting: Counting) -> Figure:
    """Compare the newest complete hour with the same hour of earlier days that had any documents in it."""
    end = (newest - LATENESS).replace(minute=0, second=0, microsecond=0)
    counts = [counting(column, end - day - _HOUR, end - day) for day in (timedelta(days=n) for n in range(DAYS + 1))]
    earlier = [count for count in counts[1:] if count]
    if len(earlier) < ENOUGH_DAYS:
        return Figure(None, f"{len(earlier)} earlier days to compare with, too few")
    usual = median(earlier)
    hour = f"{end - _HOUR:%Y-%m-%d %H:00} UTC"
    return Figure(counts[0] / usual, f"{counts[0]:,} in the hour from {hour}, usually {usual:,.0f}")


def mix_shift(present: Counter[str], past: Counter[str]) -> Figure:
    """Half the sum of the differences between shares, and the value whose share changed most."""
    now, before = present.total(), past.total()
    changes = {value: present[value] / now - past[value] / before for value in {*present, *past}}
    most = max(changes, key=lambda value: abs(changes[value]))
    detail = f"{most} was {past[most] / before:.1%}, is {present[most] / now:.1%}"
    return Figure(sum(map(abs, changes.values())) / 2, detail)


def quantile_shift(present: Counter[str], past: Counter[str]) -> Figure:
    """The greatest factor between a quantile now and before, of two histograms."""
    factors = {}
    for share in _QUANTILES:
        now, before = _quantile(present, share), _quantile(past, share)
        if now and before:
            factors[max(now / before, before / now)] = f"p{100 * share:.0f} was {before:,.2f}, is {now:,.2f}"
    if not factors:
        return Figure(None, "all values are zero")
    return Figure(max(factors), factors[max(factors)])


def _histogram(values: np.ndarray) -> dict[str, int]:
    """Counts by class: the number of the class on a logarithmic scale, or `zero` for everything not above 0."""
    positive = values[values > 0]
    classes, counts = np.unique(np.floor(np.log10(positive) * _CLASSES).astype(int), return_counts=True)
    histogram = {str(number): int(count) for number, count in zip(classes, counts, strict=True)}
    zeros = len(values) - len(positive)
    return histogram | ({_ZERO: zeros} if zeros else {})


def _quantile(histogram: Counter[str], share: float) -> float:
    """The middle of the class in which the quantile lies; 0 for the class of zeros."""
    wanted = share * histogram.total()
    seen = histogram[_ZERO]
    if seen >= wanted:
        return 0.0
    for number in sorted(int(name) for name in histogram if name != _ZERO):
        seen += histogram[str(number)]
        if seen >= wanted:
            return float(10 ** ((number + 0.5) / _CLASSES))
    return 0.0
