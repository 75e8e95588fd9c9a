"""A whole shop: plans how many rows each slice of time holds, then plays the slices in order.

Memory holds the users, the products, and the rows of one slice and of the visits that reach beyond it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from data.shopgen.catalogue import Catalogue
from data.shopgen.rhythm import day_share, day_weights, sample_seconds
from data.shopgen.settings import SECONDS_PER_DAY, Settings
from data.shopgen.users import Population
from data.shopgen.visits import DIRECT_SHARE, Rows, Visitors, make_visits

ROWS_PER_SLICE = 100_000  # on average over the busiest day
CARTS_PER_VIEW = 0.0218 / 0.9595  # the public data's event mix, with 0.12 % removals from the views' share
PURCHASES_PER_VIEW = 0.0175 / 0.9595
ROWS_PER_VIEW = 1 / 0.9595


@dataclass(frozen=True)
class Slice:
    """A stretch [start, end) of one day, in seconds since the period's start, and the rows to generate in it."""

    day: int
    start: int
    end: int
    rows: int


class Shop:
    """One generated shop.

    Attributes:
        settings: what it was made from.
        catalogue: its products, with the texts of the day being played.
        population: its users.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        catalogue_rng, users_rng, plan_rng, self._rng = (
            np.random.default_rng(seed) for seed in np.random.SeedSequence(settings.seed).spawn(4)
        )
        self.catalogue = Catalogue(catalogue_rng, settings.events)
        self.population = Population(users_rng, settings, self.catalogue)
        self._end = settings.days * SECONDS_PER_DAY
        self._slices = self._plan(plan_rng)

    def _plan(self, rng: np.random.Generator) -> list[Slice]:
        """Set how many rows each slice gets, and calibrate carts and purchases to the wanted mix."""
        people, days = self.population, self.settings.days
        activity = day_weights(rng, self.settings.start, days)
        returning, actions, purchases = np.zeros(days), 0.0, 0.0
        for day in range(days):
            engagement = people.engagement(day)
            views = people.visit_weights(day, engagement) * people.views
            returning[day] = views.sum(dtype=np.float64) * activity[day]
            taken = views * people.actions * engagement
            actions += float(taken.sum(dtype=np.float64)) * activity[day]
            purchases += float((taken * people.buys).sum(dtype=np.float64)) * activity[day]
        self._calibrate(actions / returning.sum(), purchases / actions)

        first_views = np.zeros(days)
        new = people.newcomers(0, self._end)
        np.add.at(first_views, people.arrivals[new] // SECONDS_PER_DAY, people.views[new])
        # First visits are certain; returning visits fill what is left of the wanted number of rows.
        first_rows = first_views * ROWS_PER_VIEW
        left = max(0.0, self.settings.events - first_rows.sum())
        per_day = first_rows + returning * (left / returning.sum())
        return self._cut(per_day * (self.settings.events / per_day.sum()))

    def _calibrate(self, actions_per_view: float, purchases_per_action: float) -> None:
        """Scale the population's probabilities so that the mix over all rows is that of the public data."""
        wanted_actions = CARTS_PER_VIEW + PURCHASES_PER_VIEW * DIRECT_SHARE
        wanted_purchases = PURCHASES_PER_VIEW / wanted_actions
        self.population.actions *= np.float32(wanted_actions / actions_per_view)
        self.population.buys *= np.float32(wanted_purchases / purchases_per_action)
        np.minimum(self.population.actions, 0.5, out=self.population.actions)
        np.minimum(self.population.buys, 0.98, out=self.population.buys)

    def _cut(self, rows_per_day: np.ndarray) -> list[Slice]:
        """Cut the days into slices of bounded size; their rows sum to exactly the wanted number."""
        per_day = min(1_440, int(np.ceil(rows_per_day.max() / ROWS_PER_SLICE)))
        edges = [SECONDS_PER_DAY * part // per_day for part in range(per_day + 1)]
        shares = np.array([day_share(low, high) for low, high in pairwise(edges)])
        expected = np.cumsum(np.outer(rows_per_day, shares).ravel())
        reached = np.rint(expected * (self.settings.events / expected[-1])).astype(np.int64)
        rows = np.diff(reached, prepend=0).tolist()
        stretches = [
            (day, day * SECONDS_PER_DAY + low, day * SECONDS_PER_DAY + high)
            for day in range(self.settings.days)
            for low, high in pairwise(edges)
        ]
        return [Slice(*stretch, count) for stretch, count in zip(stretches, rows, strict=True)]

    def play(self) -> Iterator[tuple[int, Rows]]:
        """Play the period once: yields (day, rows of one slice in time order), slices in time order."""
        open_rows = Rows.empty()
        today, weights = -1, np.empty(0)
        engagement = np.empty(0)
        for piece in self._slices:
            if piece.day != today:
                today = piece.day
                self.catalogue.reprice()
                engagement = self.population.engagement(today)
                weights = np.cumsum(self.population.visit_weights(today, engagement), dtype=np.float64)
            rows = Rows.concat([open_rows, *self._fill(piece, weights, engagement)])
            now = rows.times < piece.end
            due = rows.take(now)
            open_rows = rows.take(~now)
            yield today, due.take(np.argsort(due.times, kind="stable"))

    def _fill(self, piece: Slice, weights: np.ndarray, engagement: np.ndarray) -> list[Rows]:
        """Generate exactly the slice's number of rows (some beyond its end): first visits, then returning users."""
        parts, missing = [], piece.rows
        users = self.population.newcomers(piece.start, piece.end)
        starts = self.population.arrivals[users]
        midnight = piece.day * SECONDS_PER_DAY
        while missing > 0:
            visitors = Visitors(
                users,
                starts,
                self.population.views[users],
                self.population.actions[users] * engagement[users],
                self.population.buys[users],
                self.population.favourites[users],
            )
            rows = make_visits(self._rng, self.catalogue, visitors)
            # The period ends like an export does: in the middle of things.
            rows = rows.take(rows.times < self._end)
            parts.append(rows.take(slice(missing)))
            missing -= len(parts[-1])
            visits = int(missing / 4) + 8
            users = np.searchsorted(weights, self._rng.random(visits) * weights[-1], side="right")
            starts = midnight + sample_seconds(self._rng, visits, piece.start - midnight, piece.end - midnight)
        return parts
