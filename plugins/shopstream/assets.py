"""The assets through which DAGs tell each other that data changed."""

from __future__ import annotations

from airflow.sdk import Asset

DIMENSIONS = Asset("shopstream_dimensions", uri="shopstream://collections/dimensions", group="shopstream")
DIMENSION_COLLECTIONS = ("products", "users")
EVENTS = Asset("shopstream_events", uri="shopstream://topics/events", group="shopstream")
MODEL_COLLECTIONS = (
    "user_feature_engineering",
    "customer_segments",
    "churn_predictions",
    "product_recommendations",
    "time_series_analysis",
    "statistical_analysis",
    "journey_metrics",
)
MODELS = Asset("shopstream_models", uri="shopstream://collections/models", group="shopstream")
