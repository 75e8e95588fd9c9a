"""Which collections a DAG writes: what the tab Data Quality on a DAG's page is about."""

from __future__ import annotations

from shopstream.assets import DIMENSION_COLLECTIONS, MODEL_COLLECTIONS
from shopstream.quality import CHECKS

QUALITY_DAG = "data_quality"

_LIVE = (
    "enriched_events",
    "event_aggregations",
    "user_session_analytics",
    "conversion_funnel",
    "dead_letter_events",
    "reconciliation",
    "self_audit",
)
_WRITES = {
    "seed_dimensions": DIMENSION_COLLECTIONS,
    "replay_events": _LIVE,
    "streaming_lifecycle": (*_LIVE, "stream_health"),
    "train_models": (*MODEL_COLLECTIONS, "model_runs"),
    QUALITY_DAG: CHECKS,
}


def written_by(dag_id: str) -> tuple[str, ...]:
    """Return the checks that are about what a DAG writes, directly or through the stream; none for a foreign DAG."""
    return tuple(_WRITES.get(dag_id, ()))
