"""When people shop: the hours of a day and the days of a week, all in UTC."""

from datetime import date, timedelta

import numpy as np

from data.shopgen.settings import SECONDS_PER_DAY

# Relative intensity at each full hour: lowest 23:00-02:00, highest in the European afternoon, as in the public data.
HOUR_WEIGHTS = (
    *(0.26, 0.26, 0.40, 0.76, 1.08, 1.28, 1.36, 1.40),
    *(1.43, 1.43, 1.41, 1.40, 1.42, 1.48, 1.57, 1.63),
    *(1.61, 1.46, 1.16, 0.82, 0.60, 0.47, 0.38, 0.29),
)
# Monday to Sunday.
WEEKDAY_WEIGHTS = (0.96, 0.95, 0.96, 0.97, 1.00, 1.09, 1.12)

_MINUTES = np.arange(0, SECONDS_PER_DAY + 1, 60, dtype=np.float64)
_DENSITY = np.interp(_MINUTES, np.arange(25) * 3600.0, [*HOUR_WEIGHTS, HOUR_WEIGHTS[0]])
# Share of a day's visits that started by each minute (trapezoid rule over the density).
_SHARE = np.concatenate(([0.0], np.cumsum((_DENSITY[1:] + _DENSITY[:-1]) / 2)))
_SHARE /= _SHARE[-1]


def day_share(start: int, end: int) -> float:
    """Share of a day's visits that start in [start, end), both in seconds since midnight."""
    low, high = np.interp([start, end], _MINUTES, _SHARE)
    return float(high - low)


def sample_seconds(rng: np.random.Generator, count: int, start: int = 0, end: int = SECONDS_PER_DAY) -> np.ndarray:
    """Draw `count` visit starts in [start, end): int64 seconds since midnight that follow the daily rhythm."""
    low, high = np.interp([start, end], _MINUTES, _SHARE)
    moments = np.interp(low + (high - low) * rng.random(count), _SHARE, _MINUTES)
    return np.clip(moments.astype(np.int64), start, end - 1)


def is_weekend(first_day: date, day: int) -> bool:
    """Whether the day `day` days after `first_day` is a Saturday or Sunday."""
    return (first_day + timedelta(days=day)).weekday() >= 5


def day_weights(rng: np.random.Generator, first_day: date, days: int) -> np.ndarray:
    """Relative activity of each day: the weekly rhythm with about 3 % of daily chance; float64 of length `days`."""
    weekly = [WEEKDAY_WEIGHTS[(first_day + timedelta(days=day)).weekday()] for day in range(days)]
    return np.array(weekly) * np.exp(rng.normal(0.0, 0.03, days))
