"""Products that go together, and what to show a user because of them: `product_recommendations`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from pyspark.sql import Column, DataFrame, Window, WindowSpec
from pyspark.sql import functions as F

from spark_jobs.ml.as_of import iso
from spark_jobs.ml.events import document_id, is_type

TOP = 10

# What one visitor can contribute: nobody who shops reaches these numbers, and a bot with a million events, whose pairs
# would be their square, is no more than a busy customer. The latest products count.
MOST_PER_SESSION = 30
MOST_PER_USER = 300

# A user's recommendations follow from so many products they touched last.
RECENT_PRODUCTS = 10

# Damps pairs that met once or twice by chance: the similarity of products that met n times out of n is n / (n + 5).
# Shrinkage as in Koren, "Factor in the neighbors" (2010), section 2.2.
SHRINKAGE = 5

# Sums over decimals are exact: they do not depend on the order of the rows, so neither do ranks.
_SCORE = "decimal(18,10)"


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


def similar_products(touched: DataFrame) -> DataFrame:
    """Find the products most often touched in the same session, and bought by the same user.

    The score of a pair is the sum of two similarities: sessions with both over the geometric mean of the sessions with
    each (cosine, damped by `SHRINKAGE`), and the same for users who bought both.

    Args:
        touched: As from `touches`, better cached.

    Returns:
        `product_id`, `rank` (1 to 10; equal scores by `other_id`), `other_id`, `score` (decimal, 0 to 2).
    """
    by_session = touched.select("user_id", "user_session", "product_id")
    by_buyer = touched.where("bought").select("user_id", "product_id").distinct()
    pairs = _together(by_session, ["user_id", "user_session"]).unionByName(_together(by_buyer, ["user_id"]))
    scored = pairs.groupBy("product_id", "other_id").agg(F.sum("score").cast(_SCORE).alias("score"))
    return _top(scored, ["product_id"])


def popular_products(touched: DataFrame, count: int = TOP) -> DataFrame:
    """Rank products by the number of users who touched them.

    Args:
        touched: As from `touches`.
        count: How many to keep.

    Returns:
        `rank` (1 to `count`; equal numbers by `other_id`), `other_id`, `score` (users).
    """
    users = touched.groupBy(F.col("product_id").alias("other_id")).agg(F.count_distinct("user_id").alias("score"))
    return _top(users, [], count)


def user_recommendations(touched: DataFrame, similar: DataFrame) -> DataFrame:
    """Recommend what goes with the products a user touched last, and what they have not touched yet.

    Args:
        touched: As from `touches`.
        similar: As from `similar_products`.

    Returns:
        `user_id`, `rank` (1 to 10; equal scores by `other_id`), `other_id`, `score` (the sum over the products it goes
        with; decimal). Users whose products have no similar ones have no row.
    """
    known = _known(touched)
    recent = _latest(known, ["user_id"], RECENT_PRODUCTS).select("user_id", "product_id")
    scored = (
        recent.join(similar.select("product_id", "other_id", "score"), "product_id", how="inner")
        .groupBy("user_id", "other_id")
        .agg(F.sum("score").cast(_SCORE).alias("score"))
    )
    return _top(_unknown(scored, known), ["user_id"])


def hit_rates(before: DataFrame, after: DataFrame) -> dict[str, float | int | None]:
    """Measure how often a user goes on to a recommended product, next to recommending what is popular to everybody.

    Args:
        before: Touches before some moment, better cached: what is recommended follows from them.
        after: Touches from then on: what users did.

    Returns:
        `users_evaluated` (known before, and touched a product that was new to them), `hit_rate_at_10` and
        `popularity_hit_rate_at_10`: shares of these users who touched one of up to ten recommended products, all new to
        them; users without a recommendation count as missed. None where there are no such users.
    """
    known = _known(before)
    users = known.select("user_id").distinct()
    new = _known(after).select("user_id", F.col("product_id").alias("other_id"))
    targets = _unknown(new.join(users, "user_id", how="left_semi"), known).select("user_id", "other_id").cache()
    recommended = user_recommendations(before, similar_products(before))
    # So many popular ones that ten of them are new even to a user who knows the most popular ones.
    popular = F.broadcast(popular_products(before, 5 * TOP))
    offered = _unknown(targets.select("user_id").distinct().crossJoin(popular), known)
    found = [_hits(targets, one) for one in (recommended, _top(offered.drop("rank"), ["user_id"]))]
    evaluated = targets.select("user_id").distinct().count()
    rates = [hits / evaluated if evaluated else None for hits in found]
    targets.unpersist()
    return {"users_evaluated": evaluated, "hit_rate_at_10": rates[0], "popularity_hit_rate_at_10": rates[1]}


def recommendation_documents(ranked: DataFrame, kind: str, key: str | None, as_of: datetime) -> DataFrame:
    """Shape documents of `product_recommendations`.

    Args:
        ranked: `rank`, `other_id`, `score`, and the column `key`.
        kind: `product`, `user` or `popular`.
        key: The column whose value has the recommendations; None for those of everybody.
        as_of: The run.

    Returns:
        `_id`, `as_of`, `kind`, the key, and `recommendations`: an array of `rank`, `product_id`, `score`, best first.
    """
    entry = F.struct("rank", F.col("other_id").alias("product_id"), F.col("score").cast("double").alias("score"))
    keys = [key] if key else []
    grouped = ranked.groupBy(*keys).agg(F.sort_array(F.collect_list(entry)).alias("recommendations"))
    return grouped.where(F.size("recommendations") > 0).select(
        document_id(iso(as_of), F.lit(kind), key or F.lit("all")).alias("_id"),
        F.lit(as_of).alias("as_of"),
        F.lit(kind).alias("kind"),
        *keys,
        "recommendations",
    )


def _together(units: DataFrame, keys: list[str]) -> DataFrame:
    """Score the pairs of products that share a unit (a session, a buyer): `product_id`, `other_id`, `score`."""
    counts = units.groupBy("product_id").agg(F.count("*").alias("times"))
    others = units.select(*keys, F.col("product_id").alias("other_id"))
    met = (
        units.join(others, keys, how="inner")
        .where(F.col("product_id") != F.col("other_id"))
        .groupBy("product_id", "other_id")
        .agg(F.count("*").alias("met"))
    )
    other_counts = counts.select(F.col("product_id").alias("other_id"), F.col("times").alias("other_times"))
    counted = met.join(counts, "product_id", how="inner").join(other_counts, "other_id", how="inner")
    mean = F.sqrt(F.col("times").cast("double") * F.col("other_times"))
    return counted.select("product_id", "other_id", (F.col("met") / (mean + SHRINKAGE)).cast(_SCORE).alias("score"))


def _known(touched: DataFrame) -> DataFrame:
    """List which products each user touched, and when last."""
    return touched.groupBy("user_id", "product_id").agg(F.max("touched_at").alias("touched_at"))


def _unknown(offered: DataFrame, known: DataFrame) -> DataFrame:
    """Leave out the products a user knows: from (`user_id`, `other_id`) what is in (`user_id`, `product_id`)."""
    seen = known.select("user_id", F.col("product_id").alias("other_id"))
    return offered.join(seen, ["user_id", "other_id"], how="left_anti")


def _latest(touched: DataFrame, keys: Sequence[str], count: int) -> DataFrame:
    """Keep the products touched last by each key; of equal times those with the smaller ids."""
    ties = [column for column in ("user_session", "product_id") if column in touched.columns]
    order: list[Column | str] = [F.col("touched_at").desc(), *ties]
    return _first(touched, Window.partitionBy(*keys).orderBy(*order), count).drop("rank")


def _top(scored: DataFrame, keys: Sequence[str], count: int = TOP) -> DataFrame:
    """Rank by falling score, then by `other_id`, and keep the first ones of each key, or of all."""
    return _first(scored, Window.partitionBy(*keys).orderBy(F.col("score").desc(), "other_id"), count)


def _first(rows: DataFrame, order: WindowSpec, count: int) -> DataFrame:
    return rows.withColumn("rank", F.row_number().over(order)).where(F.col("rank") <= count)


def _hits(targets: DataFrame, recommended: DataFrame) -> int:
    """Count users with a target among what was recommended to them."""
    return targets.join(recommended, ["user_id", "other_id"], how="left_semi").select("user_id").distinct().count()
