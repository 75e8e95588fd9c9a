"""Who shops: a population of behaviour types with arrival, visit rate, taste and churn."""

from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from data.shopgen.catalogue import Catalogue
from data.shopgen.rhythm import is_weekend, sample_seconds
from data.shopgen.settings import SECONDS_PER_DAY, Settings

NEVER = 10**6  # a day beyond every period
FIRST_USER_ID, LAST_USER_ID = 512_000_000, 555_500_000


@dataclass(frozen=True)
class UserType:
    """Behaviour of one type of user.

    Attributes:
        name: name in the truth file.
        share: share of the population.
        rate: visits per day relative to the other types.
        views: mean number of product views per visit.
        action: carts (and direct purchases) per view relative to the other types.
        buy: probability that such an action ends in a purchase, before calibration.
        existing: share of the type that knew the shop before the period; the others arrive during it.
        hazard: probability per day of leaving for good without any sign.
    """

    name: str
    share: float
    rate: float
    views: float
    action: float
    buy: float
    existing: float
    hazard: float


USER_TYPES = (
    UserType("champion", 0.04, 5.0, 4.2, 2.8, 0.85, 0.75, 0.002),
    UserType("loyal", 0.14, 1.5, 3.8, 1.7, 0.75, 0.60, 0.005),
    UserType("window_shopper", 0.15, 1.2, 5.4, 0.15, 0.25, 0.50, 0.010),
    UserType("occasional", 0.25, 0.2, 3.1, 1.2, 0.70, 0.60, 0.008),
    UserType("new", 0.10, 0.8, 3.4, 0.9, 0.60, 0.0, 0.040),
    UserType("one_time", 0.10, 0.0, 2.3, 0.5, 0.50, 0.0, 0.0),
    UserType("churner", 0.22, 3.0, 3.6, 0.9, 0.50, 0.50, 0.0),
)
LOYAL, NEW, ONE_TIME, CHURNER = (
    [user_type.name for user_type in USER_TYPES].index(name) for name in ("loyal", "new", "one_time", "churner")
)


class Population:
    """All users of one shop, ordered by arrival; one array element per user.

    Attributes:
        ids: user_id, int64, growing with arrival as account numbers do.
        kinds: index into `USER_TYPES`, int8.
        arrivals: second of the first visit relative to the period's start, int64; negative for existing users.
        churn_days: first day of the period without a new visit, int32; `NEVER` or beyond the period if they stay.
        views: mean product views per visit, float32.
        actions, buys: probability of an action per view and of a purchase per action, float32.
        favourites: index of the favourite category, int16.
    """

    def __init__(self, rng: np.random.Generator, settings: Settings, catalogue: Catalogue) -> None:
        count, self._start = settings.users, settings.start
        kinds = rng.choice(len(USER_TYPES), count, p=[user_type.share for user_type in USER_TYPES]).astype(np.int8)
        # One user who is always there keeps every day of the smallest shop alive.
        kinds[0] = LOYAL
        arrivals = self._draw_arrivals(rng, kinds, settings.days)
        arrivals[0] = -400 * SECONDS_PER_DAY
        order = np.argsort(arrivals, kind="stable")
        self.kinds, self.arrivals = kinds[order], arrivals[order]
        self._arrival_days = (self.arrivals // SECONDS_PER_DAY).astype(np.int32)
        self.ids = FIRST_USER_ID + np.cumsum(self._draw_id_gaps(rng, count))

        def per_type(attribute: str) -> np.ndarray:
            return np.array([getattr(t, attribute) for t in USER_TYPES], dtype=np.float32)[self.kinds]

        individual = np.minimum(rng.gamma(1.4, 1 / 1.4, count), 4.0).astype(np.float32)
        self._rates = per_type("rate") * (0.1 + individual)
        self._weekend = np.exp(rng.normal(0.0, 0.35, count)).astype(np.float32)
        self.views = 1 + (per_type("views") - 1) * np.exp(rng.normal(0.0, 0.2, count)).astype(np.float32)
        self.actions = per_type("action") * rng.gamma(4.0, 0.25, count).astype(np.float32)
        self.buys = per_type("buy")
        self.favourites = catalogue.draw_categories(rng, count).astype(np.int16)
        self.churn_days = self._draw_churn_days(rng, settings.days)
        self._draw_decay(rng)
        veteran = int(np.flatnonzero(order == 0)[0])
        self.churn_days[veteran], self._rates[veteran] = NEVER, 1.5

    @staticmethod
    def _draw_arrivals(rng: np.random.Generator, kinds: np.ndarray, days: int) -> np.ndarray:
        """Draw the second of each user's first visit: exponential before the period, even over it for the others."""
        count = len(kinds)
        existing = rng.random(count) < np.array([user_type.existing for user_type in USER_TYPES])[kinds]
        # New users came lately: within the last two weeks, or the second half of a short period.
        first = np.where(kinds == NEW, days - min(14.0, days / 2), 0.0)
        day = (first + (days - first) * rng.random(count)).astype(np.int64)
        during = day * SECONDS_PER_DAY + sample_seconds(rng, count)
        before = -1 - (rng.standard_exponential(count) * 90 * SECONDS_PER_DAY).astype(np.int64)
        return np.where(existing, before, during)

    @staticmethod
    def _draw_id_gaps(rng: np.random.Generator, count: int) -> np.ndarray:
        widest = max(1, 2 * (LAST_USER_ID - FIRST_USER_ID) // count - 1)
        return rng.integers(1, widest, count, endpoint=True)

    def _draw_churn_days(self, rng: np.random.Generator, days: int) -> np.ndarray:
        """Draw the first day without new visits: by hazard; churners by the end; one-time users at once."""
        count = len(self.kinds)
        first = np.maximum(self._arrival_days + 1, 0)
        hazard = np.array([t.hazard for t in USER_TYPES])[self.kinds]
        life = rng.standard_exponential(count) / np.maximum(hazard, 1 / NEVER)
        churn = first + 1 + np.minimum(life, NEVER).astype(np.int64)
        # The root puts many late, some beyond the period: fading but not gone, so that recency does not give them away.
        declining = first + 1 + (np.sqrt(rng.random(count)) * np.maximum(days + 3 - first, 1)).astype(np.int64)
        churn = np.where(self.kinds == CHURNER, declining, churn)
        return np.where(self.kinds == ONE_TIME, first, churn).astype(np.int32)

    def _draw_decay(self, rng: np.random.Generator) -> None:
        """Draw when each churner's interest begins to fade (8 to 18 days before the end) and how fast."""
        self._fading = np.flatnonzero(self.kinds == CHURNER)
        lead = rng.uniform(8.0, 18.0, len(self._fading))
        self._fade_starts = self.churn_days[self._fading] - lead
        self._fade_days = lead / 3.5

    def engagement(self, day: int) -> np.ndarray:
        """Interest of each user on a day: 1, or less once a churner began to fade; float32."""
        level = np.ones(len(self.kinds), dtype=np.float32)
        faded = np.maximum(day - self._fade_starts, 0.0) / self._fade_days
        level[self._fading] = np.exp(-faded)
        return level

    def visit_weights(self, day: int, engagement: np.ndarray) -> np.ndarray:
        """Relative number of further visits of each user on a day (first visits come on top); float32."""
        present = (self._arrival_days < day) & (day < self.churn_days)
        weights = np.where(present, self._rates * engagement, np.float32(0))
        return weights * self._weekend if is_weekend(self._start, day) else weights

    def newcomers(self, start: int, end: int) -> np.ndarray:
        """Users whose first visit starts in [start, end), seconds relative to the period's start; indexes."""
        return np.arange(*np.searchsorted(self.arrivals, [start, end]))

    def truth(self, users: np.ndarray, days: int) -> list[str]:
        """CSV rows `user_id,type,churned_at` of these users; `churned_at` is empty for those who stay.

        No visit starts at or after `churned_at`, a midnight of the period (the last one included).
        """
        rows = []
        for user in users.tolist():
            day = int(self.churn_days[user])
            when = f"{self._start + timedelta(days=day)} 00:00:00 UTC" if day <= days else ""
            rows.append(f"{self.ids[user]},{USER_TYPES[self.kinds[user]].name},{when}")
        return rows
