"""What happens in a visit: product views, some of which lead to carts, purchases and removals, seconds apart."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from data.shopgen.catalogue import Catalogue

EVENT_TYPES = ("view", "cart", "purchase", "remove_from_cart")
VIEW, CART, PURCHASE, REMOVE = range(4)
# What one view leads to, the view included, one row per outcome; unused places are never read.
OUTCOMES = np.array(
    [[VIEW, 0, 0], [VIEW, CART, 0], [VIEW, CART, PURCHASE], [VIEW, CART, REMOVE], [VIEW, PURCHASE, 0]], dtype=np.int8
)
OUTCOME_LENGTHS = np.array([1, 2, 3, 3, 2])
NO_ACTION, LEFT_IN_CART, CART_THEN_BUY, CART_THEN_REMOVE, BUY_AT_ONCE = range(5)
DIRECT_SHARE = 0.25  # of purchases: bought without a cart event
REMOVE_SHARE = 0.14  # of carts that are not bought

LONGEST_VISIT = 300  # views
FAVOURITE_SHARE = 0.35  # of visits: about the user's favourite category
STRAY_SHARE = 0.15  # of views: a product from anywhere
AGAIN_SHARE = 0.22  # of views: the product just seen
DUPLICATE_SHARE = 0.0007  # of events: delivered twice, as in the public data

MEDIAN_GAP, GAP_SPREAD, LONGEST_GAP = 32.0, 0.94, 1_500.0  # seconds between events, measured on the public data
PAUSE_SHARE = 0.05  # of sessions with several events: one longer break, so that the id lives over two visits
MEDIAN_PAUSE, SHORTEST_PAUSE, LONGEST_PAUSE = 7_200.0, 1_860.0, 36_000.0  # seconds; a visit ends after 1,800


@dataclass(frozen=True)
class Rows:
    """Events in columns of equal length.

    Attributes:
        times: int64, seconds since the period's start.
        kinds: int8, index into `EVENT_TYPES`.
        products, users: int64, index into the catalogue and the population.
        sessions: object, UUID text.
    """

    times: np.ndarray
    kinds: np.ndarray
    products: np.ndarray
    users: np.ndarray
    sessions: np.ndarray

    def __len__(self) -> int:
        return len(self.times)

    def take(self, index: np.ndarray | slice) -> "Rows":
        """Rows selected by index, mask or slice."""
        return Rows(self.times[index], self.kinds[index], self.products[index], self.users[index], self.sessions[index])

    @staticmethod
    def concat(parts: Sequence["Rows"]) -> "Rows":
        """All rows of the parts, in order."""
        return Rows(
            np.concatenate([part.times for part in parts]),
            np.concatenate([part.kinds for part in parts]),
            np.concatenate([part.products for part in parts]),
            np.concatenate([part.users for part in parts]),
            np.concatenate([part.sessions for part in parts]),
        )

    @staticmethod
    def empty() -> "Rows":
        """No rows."""
        none = np.empty(0, dtype=np.int64)
        return Rows(none, none.astype(np.int8), none, none, none.astype(object))


@dataclass(frozen=True)
class Visitors:
    """Who visits when, one element per visit, all of the same length.

    Attributes:
        users: int64, index into the population.
        starts: int64, seconds since the period's start.
        views: mean number of views.
        actions, buys: probability of an action per view and of a purchase per action.
        favourites: index of the favourite category.
    """

    users: np.ndarray
    starts: np.ndarray
    views: np.ndarray
    actions: np.ndarray
    buys: np.ndarray
    favourites: np.ndarray


def session_ids(rng: np.random.Generator, count: int) -> np.ndarray:
    """Draw `count` random (version 4) UUIDs as text; object array."""
    raw = rng.integers(0, 256, (count, 16), dtype=np.uint8)
    raw[:, 6] = raw[:, 6] & 0x0F | 0x40
    raw[:, 8] = raw[:, 8] & 0x3F | 0x80
    text = raw.tobytes().hex()
    ids = np.empty(count, dtype=object)
    ids[:] = [
        f"{uuid[:8]}-{uuid[8:12]}-{uuid[12:16]}-{uuid[16:20]}-{uuid[20:]}"
        for uuid in (text[start : start + 32] for start in range(0, 32 * count, 32))
    ]
    return ids


def make_visits(rng: np.random.Generator, catalogue: Catalogue, visitors: Visitors) -> Rows:
    """Play the visits: rows visit by visit in the order of `visitors`, in time order within each visit."""
    visits = len(visitors.users)
    if not visits:
        return Rows.empty()
    liked = rng.random(visits) < FAVOURITE_SHARE
    categories = np.where(liked, visitors.favourites, catalogue.draw_categories(rng, visits))
    view_counts = _draw_view_counts(rng, visitors.views)
    visit_of_view = np.repeat(np.arange(visits), view_counts)
    products = _draw_views(rng, catalogue, categories, view_counts, visit_of_view)
    actions = (visitors.actions * catalogue.category_demand[categories])[visit_of_view]
    outcomes = _draw_outcomes(rng, actions, visitors.buys[visit_of_view])

    lengths = OUTCOME_LENGTHS[outcomes]
    view_of_row = np.repeat(np.arange(len(outcomes)), lengths)
    step = np.arange(len(view_of_row)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    copies = 1 + (rng.random(len(view_of_row)) < DUPLICATE_SHARE)
    view_of_row, step = np.repeat(view_of_row, copies), np.repeat(step, copies)
    is_copy = np.zeros(len(step), dtype=bool)
    is_copy[np.cumsum(copies)[copies == 2] - 1] = True

    visit_of_row = visit_of_view[view_of_row]
    row_counts = np.bincount(visit_of_row, minlength=visits)
    return Rows(
        _draw_times(rng, visitors.starts, visit_of_row, row_counts, is_copy),
        OUTCOMES[outcomes[view_of_row], step],
        products[view_of_row],
        visitors.users[visit_of_row],
        session_ids(rng, visits)[visit_of_row],
    )


def _draw_view_counts(rng: np.random.Generator, means: np.ndarray) -> np.ndarray:
    """Draw views per visit, at least 1: geometric around a mean that varies from visit to visit (a heavy tail)."""
    mean = 1 + (means - 1) * np.exp(rng.normal(-0.18, 0.6, len(means)))
    counts = np.ceil(rng.standard_exponential(len(means)) / -np.log1p(-1 / np.maximum(mean, 1.0001)))
    limited: np.ndarray = np.clip(counts, 1, LONGEST_VISIT).astype(np.int64)
    return limited


def _draw_views(
    rng: np.random.Generator,
    catalogue: Catalogue,
    categories: np.ndarray,
    counts: np.ndarray,
    visit_of_view: np.ndarray,
) -> np.ndarray:
    """Draw the product of each view: mostly of the visit's category, sometimes stray, often the one just seen."""
    views = len(visit_of_view)
    products: np.ndarray = catalogue.draw_products(rng, categories[visit_of_view], rng.random(views) < STRAY_SHARE)
    again = rng.random(views) < AGAIN_SHARE
    again[np.cumsum(counts) - counts] = False  # nothing was seen before a visit's first view
    source = np.maximum.accumulate(np.where(again, 0, np.arange(views)))
    chosen: np.ndarray = products[source]
    return chosen


def _draw_outcomes(rng: np.random.Generator, actions: np.ndarray, buys: np.ndarray) -> np.ndarray:
    """Draw what each view leads to, as index into `OUTCOMES`."""
    count = len(actions)
    bought = rng.random(count) < buys
    detail = rng.random(count)
    purchase = np.where(detail < DIRECT_SHARE, BUY_AT_ONCE, CART_THEN_BUY)
    no_purchase = np.where(detail < REMOVE_SHARE, CART_THEN_REMOVE, LEFT_IN_CART)
    acts = rng.random(count) < actions
    outcomes: np.ndarray = np.where(acts, np.where(bought, purchase, no_purchase), NO_ACTION)
    return outcomes


def _draw_times(
    rng: np.random.Generator, starts: np.ndarray, visit_of_row: np.ndarray, counts: np.ndarray, is_copy: np.ndarray
) -> np.ndarray:
    """Draw the second of each row: a visit's start plus its gaps; a copy shares the second of its original."""
    first = np.cumsum(counts) - counts
    gaps = MEDIAN_GAP * np.exp(rng.normal(0.0, GAP_SPREAD, len(visit_of_row)))
    gaps = np.clip(gaps, 1.0, LONGEST_GAP)
    paused = np.flatnonzero((counts > 1) & (rng.random(len(counts)) < PAUSE_SHARE))
    before = first[paused] + 1 + (rng.random(len(paused)) * (counts[paused] - 1)).astype(np.int64)
    pauses = MEDIAN_PAUSE * np.exp(rng.normal(0.0, 0.8, len(paused)))
    gaps[before] = np.clip(pauses, SHORTEST_PAUSE, LONGEST_PAUSE)
    gaps[is_copy] = 0.0
    gaps[first] = 0.0
    elapsed: np.ndarray = np.cumsum(gaps.astype(np.int64))
    times: np.ndarray = starts[visit_of_row] + elapsed - elapsed[first][visit_of_row]
    return times
