"""Who touched which products in which session: what recommendations are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from spark_jobs.ml.events import is_type

# What one visitor can contribute: nobody who shops reaches these numbers, and a bot with a million events, whose pairs
# would be their square, is no more than a busy customer. The latest products count.
MOST_PER_SESSION = 30
MOST_PER_USER = 300

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Touches:
    """Touches as arrays of equal length, one entry per (session, product).

    Attributes:
        users: Position in `user_ids`.
        sessions: Number of the session, from 0.
        products: Position in `product_ids`.
        times: When last, in microseconds since 1970.
        bought: Whether it was bought.
        user_ids: All users, rising.
        product_ids: All products, rising: of two positions the smaller one has the smaller id.
    """

    users: Integers
    sessions: Integers
    products: Integers
    times: Integers
    bought: NDArray[np.bool_]
    user_ids: Integers
    product_ids: Integers

    @classmethod
    def collect(cls, touched: DataFrame) -> Touches:
        """Collect what `touches` selected: some 40 bytes each.

        Sessions are told apart by a hash of 64 bits: of ten million, two are taken for one with a chance of one in
        400,000.
        """
        table = touched.select(
            "user_id",
            F.xxhash64("user_id", "user_session").alias("session"),
            "product_id",
            F.unix_micros("touched_at").alias("time"),
            "bought",
        ).toArrow()
        columns = {name: table.column(name).to_numpy() for name in table.column_names}
        user_ids, users = np.unique(columns["user_id"], return_inverse=True)
        product_ids, products = np.unique(columns["product_id"], return_inverse=True)
        sessions = np.unique(columns["session"], return_inverse=True)[1]
        return cls(users, sessions, products, columns["time"], columns["bought"], user_ids, product_ids)


def touches(events: DataFrame) -> DataFrame:
    """List which products were touched (viewed, put into a cart, bought) in which sessions, within the limits above.

    Args:
        events: `event_timestamp`, `event_type`, `product_id`, `user_id`, `user_session`.

    Returns:
        `user_id`, `user_session`, `product_id`, `touched_at` (the last time), `bought`; a row per combination.
    """
    touched = (
        events.where(F.col("event_type").isin("view", "cart", "purchase"))
        .groupBy("user_id", "user_session", "product_id")
        .agg(F.max("event_timestamp").alias("touched_at"), F.bool_or(is_type("purchase")).alias("bought"))
    )
    return _latest(_latest(touched, ["user_id", "user_session"], MOST_PER_SESSION), ["user_id"], MOST_PER_USER)


def _latest(touched: DataFrame, keys: Sequence[str], count: int) -> DataFrame:
    """Keep the products touched last by each key; of equal times those with the smaller ids."""
    order: list[Column | str] = [F.col("touched_at").desc(), "user_session", "product_id"]
    ranked = touched.withColumn("rank", F.row_number().over(Window.partitionBy(*keys).orderBy(*order)))
    return ranked.where(F.col("rank") <= count).drop("rank")
