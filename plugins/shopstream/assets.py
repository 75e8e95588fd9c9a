"""The assets through which DAGs tell each other that data changed."""

from __future__ import annotations

from airflow.sdk import Asset

DIMENSIONS = Asset("shopstream_dimensions", uri="shopstream://collections/dimensions", group="shopstream")
DIMENSION_COLLECTIONS = ("products", "users")
EVENTS = Asset("shopstream_events", uri="shopstream://topics/events", group="shopstream")
MODELS = Asset("shopstream_models", uri="shopstream://collections/models", group="shopstream")
