"""Products that go together, and what to show a user because of them: `product_recommendations`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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

# So many popular products are offered that ten of them are new even to a user who knows the most popular ones.
_POPULAR = 50

# So many products a user touched last decide, each by so many others that go with it best.
RECENT_PRODUCTS = 100
NEIGHBOURS = 20

# How many sessions with a product it takes until they count as much as what sessions in general contain. Sessions are
# short and products many, so most pairs met once, by chance. On generated shops of 1,500 to 25,000 users, hit rates are
# the same from 20 to 100, and lower than those of popular products below 5.
PRIOR_SESSIONS = 20

# What is summed is a whole number of these parts, ten decimal places: sums over integers are exact, so they do not
# depend on the order of the rows, and neither do ranks.
_PARTS = 1e10


@dataclass(frozen=True)
class Affinities:
    """What is known of products.

    Attributes:
        similar: `product_id`, `rank` (1 to 20; equal scores by `other_id`), `other_id`, `strength` (in `_PARTS`) and
            `score`.
        products: `product_id`, `share` (of all sessions) and `pull` (how little is known of it, in `_PARTS`).
    """

    similar: DataFrame
    products: DataFrame


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


def affinities(touched: DataFrame) -> Affinities:
    """Find the products that go with each product.

    The score of a pair is how likely a session with the product has the other one too: sessions with both over those
    with it, drawn towards the share of the other one in all sessions, as `PRIOR_SESSIONS` more of these would. Users
    who bought both count on top, over those who bought it.

    Args:
        touched: As from `touches`, better cached.
    """
    by_session = touched.select("user_id", "user_session", "product_id")
    by_buyer = touched.where("bought").select("user_id", "product_id").distinct()
    sessions = by_session.select("user_id", "user_session").distinct().count()
    times = F.count("*")
    products = by_session.groupBy("product_id").agg(
        (times / F.lit(float(max(sessions, 1)))).alias("share"),
        _parts(PRIOR_SESSIONS / (times + PRIOR_SESSIONS)).alias("pull"),
    )
    # A few columns of numbers, used three times.
    products.cache()
    pairs = _together(by_session, ["user_id", "user_session"]).unionByName(_together(by_buyer, ["user_id"]))
    strengths = pairs.groupBy("product_id", "other_id").agg(F.sum("strength").alias("strength"))
    known = strengths.join(products.select("product_id", "pull"), "product_id", how="inner")
    return Affinities(_top(_with_share(known, products), ["product_id"], NEIGHBOURS).drop("pull", "share"), products)


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


def user_recommendations(touched: DataFrame, found: Affinities) -> DataFrame:
    """Recommend what goes with the products a user touched last, or is popular, and is new to them.

    The score of a product is the sum of its scores with each of those products.

    Args:
        touched: As from `touches`, of the users who are to get recommendations.
        found: As from `affinities`.

    Returns:
        `user_id`, `rank` (1 to 10; equal scores by `other_id`), `other_id`, `score`.
    """
    known = _known(touched)
    recent = _latest(known, ["user_id"], RECENT_PRODUCTS).select("user_id", "product_id")
    pulls = recent.join(found.products, "product_id", how="inner").groupBy("user_id").agg(F.sum("pull").alias("pull"))
    near = recent.join(found.similar, "product_id", how="inner").select("user_id", "other_id", "strength")
    offers = found.products.select(F.col("product_id").alias("other_id"), F.col("share").alias("score"))
    popular = F.broadcast(_top(offers, [], _POPULAR).select("other_id", F.lit(0).cast("long").alias("strength")))
    offered = near.unionByName(pulls.select("user_id").crossJoin(popular))
    summed = offered.groupBy("user_id", "other_id").agg(F.sum("strength").alias("strength"))
    scored = _with_share(_unknown(summed, known).join(pulls, "user_id", how="inner"), found.products)
    return _top(scored, ["user_id"]).select("user_id", "rank", "other_id", "score")


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
    judged = targets.select("user_id").distinct()
    recommended = user_recommendations(before.join(judged, "user_id", how="left_semi"), affinities(before))
    offered = _unknown(judged.crossJoin(F.broadcast(popular_products(before, _POPULAR))), known)
    found = [_hits(targets, one) for one in (recommended, _top(offered.drop("rank"), ["user_id"]))]
    evaluated = judged.count()
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
    """Look at the pairs of products that share a unit (a session, a buyer): `product_id`, `other_id`, `strength`."""
    counts = units.groupBy("product_id").agg(F.count("*").alias("times"))
    others = units.select(*keys, F.col("product_id").alias("other_id"))
    met = (
        units.join(others, keys, how="inner")
        .where(F.col("product_id") != F.col("other_id"))
        .groupBy("product_id", "other_id")
        .agg(F.count("*").alias("met"))
    )
    strength = F.col("met") / (F.col("times") + PRIOR_SESSIONS)
    counted = met.join(counts, "product_id", how="inner")
    return counted.select("product_id", "other_id", _parts(strength).alias("strength"))


def _with_share(offered: DataFrame, products: DataFrame) -> DataFrame:
    """Add `score`: `strength`, and the share of `other_id` in all sessions as far as `pull` says."""
    shares = products.select(F.col("product_id").alias("other_id"), "share")
    score = F.col("strength") + F.floor(F.col("pull") * F.col("share") + F.lit(0.5))
    return offered.join(shares, "other_id", how="inner").withColumn("score", score / F.lit(_PARTS))


def _parts(number: Column) -> Column:
    """Round to a whole number of `_PARTS`."""
    return F.floor(number * F.lit(_PARTS) + F.lit(0.5))


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
