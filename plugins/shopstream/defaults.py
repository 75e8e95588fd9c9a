"""What all DAGs of the platform have in common: owner, retries, time-outs, callback, tags, first date."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from shopstream.callbacks import report_failure

OWNER = "data-platform"

# The closed set: a tag that is not here groups nothing.
TAGS = frozenset({"shopstream", "ingestion", "streaming", "quality", "machine-learning"})

# Declared in plugins/pools.json; Airflow leaves tasks of an unknown pool waiting for ever.
TRAINING_POOL = "training"

# The first day of the public data set: backfills may begin there.
START_DATE = datetime(2019, 10, 1, tzinfo=UTC)

DEFAULT_ARGS: dict[str, Any] = {
    "owner": OWNER,
    "retries": 2,
    # 30 s, 1 min, ... : long enough for a broker or a document store to come back, short enough to watch.
    "retry_delay": timedelta(seconds=30),
    "retry_exponential_backoff": 2.0,
    "max_retry_delay": timedelta(minutes=10),
    "execution_timeout": timedelta(hours=1),
    "on_failure_callback": report_failure,
}
