"""Who touched which products in which session: what recommendations are made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyspark.sql import DataFrame
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
        sessions: Number of the session, from 0, without gaps.
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
    def collect(cls, events: DataFrame) -> Touches:
        """Collect touches, within the limits above; of equal times the smaller product counts as the later one.

        Sessions are told apart by a hash of 64 bits: of ten million, two are taken for one with a chance of one in
        400,000.

        Args:
            events: `event_timestamp`, `event_type`, `product_id`, `user_id`, `user_session`.
        """
        touched = (
            events.where(F.col("event_type").isin("view", "cart", "purchase"))
            .groupBy("user_id", F.xxhash64("user_id", "user_session").alias("session"), "product_id")
            .agg(F.max(F.unix_micros("event_timestamp")).alias("time"), F.bool_or(is_type("purchase")).alias("bought"))
            .toArrow()
        )
        found = {name: touched.column(name).to_numpy() for name in touched.column_names}
        for keys, count in ((["session"], MOST_PER_SESSION), (["user_id", "session"], MOST_PER_USER)):
            group, *ties = (found[key] for key in keys)
            order, ranks = ranked(group, -found["time"], *ties, found["product_id"])
            found = {name: column[order[ranks <= count]] for name, column in found.items()}
        user_ids, users = np.unique(found["user_id"], return_inverse=True)
        product_ids, products = np.unique(found["product_id"], return_inverse=True)
        sessions = np.unique(found["session"], return_inverse=True)[1]
        return cls(users, sessions, products, found["time"], found["bought"], user_ids, product_ids)


def ranked(groups: NDArray[Any], *by: NDArray[Any]) -> tuple[Integers, Integers]:
    """Order entries group by group, in each by `by`, the most important first.

    Args:
        groups: The group of each entry.
        by: Arrays of the same length; smaller ones go first.

    Returns:
        Positions of the entries in this order, and the rank of each in its group, from 1.
    """
    order = np.lexsort((*reversed(by), groups))
    lines = groups[order]
    firsts = np.flatnonzero(np.concatenate([np.ones(min(len(lines), 1), bool), lines[1:] != lines[:-1]]))
    ranks = np.arange(1, len(order) + 1) - np.repeat(firsts, np.diff(firsts, append=len(order)))
    return order, ranks
