"""The product and user dimensions as the stream sees them."""

from __future__ import annotations

from typing import Any

from pymongo.database import Database
from pyspark.sql import DataFrame, SparkSession

from spark_jobs.config import Config
from spark_jobs.session import read_collection
from spark_jobs.streaming import dimension_versions
from spark_jobs.streaming.enrich import PRODUCT_SCHEMA, USER_SCHEMA


class Dimensions:
    """Snapshots of `products` and `users`, kept in Spark's memory for the joins of every micro-batch."""

    def __init__(self, spark: SparkSession, config: Config, db: Database[dict[str, Any]]) -> None:
        self.version = dimension_versions.current(db)
        self.products = _snapshot(spark, config, "products", PRODUCT_SCHEMA)
        self.users = _snapshot(spark, config, "users", USER_SCHEMA)
        self.sizes = {"products": self.products.count(), "users": self.users.count()}

    def release(self) -> None:
        """Give the snapshots' memory back."""
        self.products.unpersist()
        self.users.unpersist()


def _snapshot(spark: SparkSession, config: Config, collection: str, schema: str) -> DataFrame:
    return read_collection(spark, config, collection, schema=schema).persist()
