"""Customer segments: K-Means over scaled features, the number of clusters chosen by silhouette."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime

from pyspark.ml import Pipeline, PipelineModel
from pyspark.ml.clustering import KMeans
from pyspark.ml.evaluation import ClusteringEvaluator
from pyspark.ml.feature import StandardScaler, VectorAssembler
from pyspark.ml.functions import vector_to_array
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from spark_jobs.errors import JobSkipped
from spark_jobs.ml.as_of import iso
from spark_jobs.ml.events import document_id

log = logging.getLogger(__name__)

FEWEST_USERS = 20
CLUSTER_COUNTS = range(2, 9)
SEED = 20191001
_ITERATIONS = 40

# What a marketing team tells customers apart by. Logarithms, because a few customers have a hundred times the usual.
_INPUTS = {
    "recency": "recency_days",
    "tenure": "tenure_days",
    "frequency": "log1p(session_count)",
    "browsing": "log1p(events_per_session)",
    "carting": "log1p(cart_count / session_count)",
    "buying": "log1p(purchase_count)",
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


def cluster(inputs: DataFrame) -> Clustering:
    """Fit K-Means with 2 to 8 clusters and keep the one with the best silhouette, the smaller of equal ones.

    Args:
        inputs: As from `segment_inputs`, better cached.

    Raises:
        JobSkipped: Too few users, or nothing to tell them apart by.
    """
    users = inputs.count()
    if users < FEWEST_USERS:
        raise JobSkipped(f"{users} users in the 30 days, segments need at least {FEWEST_USERS}")
    different = inputs.select(*INPUTS).distinct().count()
    if different < min(CLUSTER_COUNTS):
        raise JobSkipped(f"all {users} users behave the same: there are no segments")
    scaling = Pipeline(
        stages=[
            VectorAssembler(inputCols=list(INPUTS), outputCol="raw"),
            StandardScaler(inputCol="raw", outputCol="scaled", withMean=True, withStd=True),
        ]
    ).fit(inputs)
    scaled = scaling.transform(inputs).select("scaled").cache()
    evaluator = ClusteringEvaluator(featuresCol="scaled", predictionCol="cluster")
    silhouettes, models = {}, {}
    for count in (count for count in CLUSTER_COUNTS if count <= different):
        kmeans = KMeans(featuresCol="scaled", predictionCol="cluster", k=count, seed=SEED, maxIter=_ITERATIONS)
        model = kmeans.fit(scaled)
        if len([size for size in model.summary.clusterSizes if size]) < 2:
            continue
        models[count] = model
        silhouettes[count] = round(evaluator.evaluate(model.transform(scaled)), 6)
    scaled.unpersist()
    best = max(silhouettes, key=lambda count: (silhouettes[count], -count))
    log.info("%d users, silhouettes %s: %d clusters", users, silhouettes, best)
    centres = [dict(zip(INPUTS, centre.tolist(), strict=True)) for centre in models[best].clusterCenters()]
    return Clustering(PipelineModel([*scaling.stages, models[best]]), silhouettes, centres)
