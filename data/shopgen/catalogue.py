"""What the shop sells: products with category, brand, price and popularity, calibrated on the public data set.

`categories.csv` holds one row per category: its id and code (empty where the real data has none), the leading digits of
its product ids, its share of events in percent, its median price, the spread of prices (standard deviation of
ln(price) within a brand), and its brands as `name:share:price factor` with an empty name where the brand is missing.
"""

import csv
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

CATEGORIES_FILE = Path(__file__).with_name("categories.csv")
MAX_PRODUCTS = 170_000
MIN_PRICE, MAX_PRICE = 0.77, 2574.07
ZERO_PRICE_SHARE = 0.0014  # of events
DAILY_PRICE_CHANGES = 0.03  # share of products that get a new price each day
ELECTRONICS_DEMAND = 1.5  # carts per view in electronics, relative to everything else
RANKS_OFFSET = 0.5  # popularity of the k-th product of a brand: 1 / (k + offset)


@dataclass(frozen=True)
class Category:
    """One row of `categories.csv`; `brands` holds (name, share, price factor), shares summing to 1."""

    category_id: int
    code: str
    id_prefix: int
    share: float
    median_price: float
    price_spread: float
    brands: tuple[tuple[str, float, float], ...]


def load_categories(path: Path = CATEGORIES_FILE) -> list[Category]:
    """Read the category table; shares are normalised to sum to 1 over all categories."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    total = sum(float(row["share"]) for row in rows)
    return [
        Category(
            int(row["category_id"]),
            row["category_code"],
            int(row["id_prefix"]),
            float(row["share"]) / total,
            float(row["median_price"]),
            float(row["price_spread"]),
            _parse_brands(row["brands"]),
        )
        for row in rows
    ]


def _parse_brands(text: str) -> tuple[tuple[str, float, float], ...]:
    cells = [cell.split(":") for cell in text.split(" ")]
    total = sum(float(share) for _, share, _ in cells)
    return tuple((name, float(share) / total, float(factor)) for name, share, factor in cells)


def product_count(events: int) -> int:
    """Number of products wanted for a file of `events` rows.

    25 * sqrt(events) passes near both points known of the real data: 2,312 products in its first 5,019 events and
    166,794 in 42.4 M; the cap keeps memory independent of `events`.
    """
    return min(MAX_PRODUCTS, round(25 * math.sqrt(events)))


class Catalogue:
    """The products of one shop, ordered by category, so that a category is a range of product indexes.

    Attributes:
        category_shares: share of events of each category, float64, summing to 1.
        category_demand: carts per view of each category relative to the average, float64.
        texts: for each product the CSV text `product_id,category_id,category_code,brand,price` at today's price.
    """

    def __init__(self, rng: np.random.Generator, events: int) -> None:
        self._rng = rng
        self._categories = load_categories()
        self.category_shares = np.array([category.share for category in self._categories])
        demand = np.array([ELECTRONICS_DEMAND if c.code.startswith("electronics.") else 1.0 for c in self._categories])
        self.category_demand = demand / (demand * self.category_shares).sum()
        self._popularity = np.empty(0)  # cumulative share of events up to and including each product
        self._bounds = np.empty(0)  # cumulative share at the first product of each category, and 1
        self._prices = np.empty(0)
        self._heads: list[str] = []
        self._build(product_count(events))
        self.texts = [f"{head}{price:.2f}" for head, price in zip(self._heads, self._prices.tolist(), strict=True)]

    def _build(self, wanted: int) -> None:
        """Fill popularity, prices and texts, category by category and brand by brand."""
        # Popular brands carry more products, but less than proportionally.
        sizes = [[(c.share * share) ** 0.7 for _, share, _ in c.brands] for c in self._categories]
        per_size = wanted / sum(map(sum, sizes))
        counts = [[max(1, round(size * per_size)) for size in row] for row in sizes]
        product_ids = self._draw_product_ids([sum(row) for row in counts])
        weights: list[np.ndarray] = []
        prices: list[np.ndarray] = []
        for category, row, ids in zip(self._categories, counts, product_ids, strict=True):
            brands: list[str] = []
            for (brand, share, factor), count in zip(category.brands, row, strict=True):
                ranks = 1.0 / (np.arange(count) + 1 + RANKS_OFFSET)
                weights.append(category.share * share * ranks / ranks.sum())
                spread = np.exp(self._rng.normal(0.0, category.price_spread, count))
                prices.append(category.median_price * factor * spread)
                brands += [brand] * count
            self._heads += [
                f"{product_id},{category.category_id},{category.code},{brand},"
                for product_id, brand in zip(ids, brands, strict=True)
            ]
        self._popularity = np.cumsum(np.concatenate(weights))
        self._popularity /= self._popularity[-1]
        ends = np.cumsum([sum(row) for row in counts])
        self._bounds = np.concatenate(([0.0], self._popularity[ends - 1]))
        self._prices = np.clip(np.concatenate(prices), MIN_PRICE, MAX_PRICE)
        self._prices[self._unpriced(np.concatenate(weights))] = 0.0

    def _draw_product_ids(self, counts: list[int]) -> list[list[int]]:
        """Draw unique ids per category: the prefix followed by five digits (categories may share a prefix)."""
        prefixes = [category.id_prefix for category in self._categories]
        ids: list[list[int]] = [[] for _ in counts]
        for prefix in sorted(set(prefixes)):
            members = [index for index, value in enumerate(prefixes) if value == prefix]
            total = sum(counts[index] for index in members)
            numbers = self._rng.choice(max(2_000, 3 * total), total, replace=False) + prefix * 100_000 + 16
            for index in members:
                ids[index], numbers = numbers[: counts[index]].tolist(), numbers[counts[index] :]
        return ids

    def _unpriced(self, weights: np.ndarray) -> np.ndarray:
        """Pick unpopular products that together make up the share of zero prices; indexes."""
        rare = self._rng.permutation(np.flatnonzero(weights <= np.quantile(weights, 0.9)))
        return rare[np.cumsum(weights[rare]) <= ZERO_PRICE_SHARE]

    def __len__(self) -> int:
        return len(self._heads)

    def reprice(self) -> None:
        """Give some products a new price, as happens once a day; prices of zero stay zero."""
        changed = np.flatnonzero(self._rng.random(len(self)) < DAILY_PRICE_CHANGES)
        moved = self._prices[changed] * np.exp(self._rng.normal(0.0, 0.06, len(changed)))
        self._prices[changed] = np.where(moved > 0, np.clip(moved, MIN_PRICE, MAX_PRICE), 0.0)
        for index, price in zip(changed.tolist(), self._prices[changed].tolist(), strict=True):
            self.texts[index] = f"{self._heads[index]}{price:.2f}"

    def draw_categories(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """Draw `count` category indexes by popularity, int64."""
        drawn = np.searchsorted(np.cumsum(self.category_shares), rng.random(count), side="right")
        return np.minimum(drawn, len(self.category_shares) - 1)

    def draw_products(self, rng: np.random.Generator, categories: np.ndarray, anywhere: np.ndarray) -> np.ndarray:
        """Draw one product index per row by popularity, int64.

        Args:
            rng: source of chance.
            categories: category index of each row.
            anywhere: bool per row; True draws from the whole catalogue instead of the row's category.
        """
        low = np.where(anywhere, 0.0, self._bounds[categories])
        high = np.where(anywhere, 1.0, self._bounds[categories + 1])
        position = low + (high - low) * rng.random(len(categories))
        return np.minimum(np.searchsorted(self._popularity, position, side="right"), len(self) - 1)
