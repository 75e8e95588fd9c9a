"""Figures over a list of doubles, in the definitions of the data contracts."""

import math
from collections.abc import Sequence


def total(values: Sequence[float]) -> float:
    """Sum, correctly rounded and so independent of the order; infinite where the sum exceeds a double; 0.0 if empty."""
    try:
        return math.fsum(values)
    except OverflowError:
        return math.inf


def mean(values: Sequence[float]) -> float:
    """Arithmetic mean of at least one value."""
    return total(values) / len(values)


def sample_stddev(values: Sequence[float]) -> float | None:
    """Sample standard deviation (divisor n - 1); None for fewer than two values, where it is undefined."""
    if len(values) < 2:
        return None
    centre = mean(values)
    deviations = [value - centre for value in values]
    return math.sqrt(total([deviation * deviation for deviation in deviations]) / (len(values) - 1))


def percentage(part: int, whole: int) -> float:
    """`part` in percent of `whole`; 0.0 where `whole` is 0."""
    return 100 * part / whole if whole else 0.0
