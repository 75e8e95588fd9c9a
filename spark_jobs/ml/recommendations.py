"""What to show to whom: `product_recommendations`."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from scipy.sparse import coo_array, csr_array  # type: ignore[import-untyped]

from spark_jobs.ml.affinity import NEIGHBOURS, PARTS, Affinities, Ranking, affinities, blocks, drawn, incidence
from spark_jobs.ml.as_of import iso
from spark_jobs.ml.events import document_id
from spark_jobs.ml.touches import Integers, Touches

TOP = 10

# So many popular products are offered that ten of them are new even to a user who knows the most popular ones.
_POPULAR = 50

# So many products a user touched last decide, each by so many others that go with it best.
RECENT_PRODUCTS = 100


class _Known:
    """Which products each user knows.

    Args:
        touched: The touches.
        users: Of these users.
    """

    def __init__(self, touched: Touches, users: Integers) -> None:
        self.width = len(touched.product_ids)
        of_users = np.isin(touched.users, users)
        pairs, times = self.pairs(touched.users[of_users], touched.products[of_users]), touched.times[of_users]
        order = np.lexsort((times, pairs))
        last = order[np.flatnonzero(np.diff(pairs[order], append=-1))]
        self._pairs, self.times = pairs[last], times[last]
        self.users, self.products = np.divmod(self._pairs, self.width)

    def pairs(self, users: Integers, products: Integers) -> Integers:
        """Number each pair of a user and a product."""
        return users * self.width + products

    def __call__(self, users: Integers, products: Integers) -> NDArray[np.bool_]:
        """Tell for each of these pairs whether the user knows the product."""
        wanted = self.pairs(users, products)
        at = np.minimum(np.searchsorted(self._pairs, wanted), len(self._pairs) - 1)
        found: NDArray[np.bool_] = self._pairs[at] == wanted
        return found


def popular_products(touched: Touches, count: int = TOP) -> Ranking:
    """Rank products by the number of users who touched them.

    Args:
        touched: The touches.
        count: How many to keep.

    Returns:
        One row, 0; the scores are numbers of users.
    """
    pairs = incidence(touched.users, touched.products, len(touched.product_ids))
    users = np.bincount(pairs.indices, minlength=len(touched.product_ids)).astype(np.int64)
    return Ranking.of(np.zeros(len(users), np.int64), np.arange(len(users)), users, count)


def user_recommendations(touched: Touches, found: Affinities, users: Integers | None = None) -> Ranking:
    """Recommend what goes with the products a user touched last, or is popular, and is new to them.

    The score of a product is the sum of its scores with each of those products.

    Args:
        touched: The touches.
        found: The affinities of the same touches.
        users: Positions of the users who are to get recommendations, rising; None for all.

    Returns:
        A row for each user, named by the position; scores in `PARTS`.
    """
    users = np.arange(len(touched.user_ids)) if users is None else users
    known = _Known(touched, users)
    recent = Ranking.of(known.users, known.products, known.times, RECENT_PRODUCTS)
    basket = incidence(np.searchsorted(users, recent.rows), recent.columns, known.width)
    pull = basket @ found.pull
    products = np.arange(known.width)
    popular = Ranking.of(np.zeros_like(products), products, found.share, _POPULAR).columns
    ranked = []
    for rows in blocks(np.diff(basket.indptr).astype(np.int64) * NEIGHBOURS + len(popular)):
        offered = _offered(basket[rows] @ found.strengths, popular)
        lines, columns = offered.row.astype(np.int64) + rows.start, offered.col.astype(np.int64)
        new = ~known(users[lines], columns)
        scores = offered.data + drawn(pull[lines], found.share[columns])
        ranked.append(Ranking.of(users[lines[new]], columns[new], scores[new], TOP))
    return Ranking.joined(ranked)


def hit_rates(before: Touches, after: Touches) -> dict[str, float | int | None]:
    """Measure how often a user goes on to a recommended product, next to recommending what is popular to everybody.

    Args:
        before: Touches before some moment: what is recommended follows from them.
        after: Touches from then on: what users did.

    Returns:
        `users_evaluated` (known before, and touched a product that was new to them), `hit_rate_at_10` and
        `popularity_hit_rate_at_10`: shares of these users who touched one of up to ten recommended products, all new to
        them; users without a recommendation count as missed. None where there are no such users.
    """
    known, judged, targets = _targets(before, after)
    if not len(judged):
        return {"users_evaluated": 0, "hit_rate_at_10": None, "popularity_hit_rate_at_10": None}
    popular = popular_products(before, _POPULAR)
    lines = np.repeat(judged, len(popular.columns))
    columns, scores = (np.tile(one, len(judged)) for one in (popular.columns, popular.scores))
    new = ~known(lines, columns)
    rates = [
        len(np.unique(ranked.rows[np.isin(known.pairs(ranked.rows, ranked.columns), targets)])) / len(judged)
        for ranked in (
            user_recommendations(before, affinities(before), judged),
            Ranking.of(lines[new], columns[new], scores[new], TOP),
        )
    ]
    return {"users_evaluated": len(judged), "hit_rate_at_10": rates[0], "popularity_hit_rate_at_10": rates[1]}


def table(ranked: Ranking, products: Integers, key: str | None = None, ids: Integers | None = None) -> pa.Table:
    """Return a ranking as a table.

    Args:
        ranked: The ranking; scores in `PARTS` where it has a row per user or product, else as they are.
        products: Ids of the products, by column.
        key: What the rows are; None where there is but one.
        ids: Their ids.

    Returns:
        `key` (its id), `rank`, `other_id`, `score`.
    """
    columns = {"rank": ranked.ranks, "other_id": products[ranked.columns]}
    if key is None or ids is None:
        return pa.table(columns | {"score": ranked.scores.astype(np.float64)})
    return pa.table({key: ids[ranked.rows]} | columns | {"score": ranked.scores / PARTS})


def recommendation_documents(ranked: DataFrame, kind: str, key: str | None, as_of: datetime) -> DataFrame:
    """Shape documents of `product_recommendations`.

    Args:
        ranked: Columns as from `table`.
        kind: `product`, `user` or `popular`.
        key: The column whose value has the recommendations; None for those of everybody.
        as_of: The run.

    Returns:
        `_id`, `as_of`, `kind`, the key, and `recommendations`: an array of `rank`, `product_id`, `score`, best first.
    """
    entry = F.struct(F.col("rank").cast("int").alias("rank"), F.col("other_id").alias("product_id"), "score")
    keys = [key] if key else []
    grouped = ranked.groupBy(*keys).agg(F.sort_array(F.collect_list(entry)).alias("recommendations"))
    return grouped.where(F.size("recommendations") > 0).select(
        document_id(iso(as_of), F.lit(kind), key or F.lit("all")).alias("_id"),
        F.lit(as_of).alias("as_of"),
        F.lit(kind).alias("kind"),
        *keys,
        "recommendations",
    )


def _offered(near: csr_array, popular: Integers) -> coo_array:
    """Add zeros for popular products, which all users are offered, to the strengths of what is near to their own."""
    close = near.tocoo()
    height = near.shape[0]
    lines = np.concatenate([close.row, np.repeat(np.arange(height), len(popular))])
    columns = np.concatenate([close.col, np.tile(popular, height)])
    values = np.concatenate([close.data, np.zeros(height * len(popular), np.int64)])
    return csr_array((values, (lines, columns)), near.shape).tocoo()


def _targets(before: Touches, after: Touches) -> tuple[_Known, Integers, Integers]:
    """Find what known users touched afterwards that was new to them.

    Returns:
        What these users knew; their positions, rising; and the pairs of user and product as numbers of `_Known.pairs`.
    """
    users = _positions(before.user_ids, after.user_ids)[after.users]
    products = _positions(before.product_ids, after.product_ids)[after.products]
    users, products = users[users >= 0], products[users >= 0]
    known = _Known(before, np.unique(users))
    # A product that nobody had touched before is new to everybody, and cannot be recommended.
    unheard = products < 0
    new = unheard | ~known(users, products)
    return known, np.unique(users[new]), known.pairs(users[new & ~unheard], products[new & ~unheard])


def _positions(ids: Integers, wanted: Integers) -> Integers:
    """Return where the wanted ids are among rising ids; -1 for those that are not there."""
    at = np.minimum(np.searchsorted(ids, wanted), len(ids) - 1)
    return np.where(ids[at] == wanted, at, -1) if len(ids) else np.full(len(wanted), -1)
