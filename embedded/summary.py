"""The table at the end of the demo."""

from __future__ import annotations

from typing import Any

from pymongo import MongoClient
from pymongo.database import Database

from embedded.stack import Stack

COLLECTIONS = (
    "enriched_events",
    "event_aggregations",
    "user_session_analytics",
    "conversion_funnel",
    "dead_letter_events",
    "products",
    "users",
    "user_feature_engineering",
    "customer_segments",
    "churn_predictions",
    "product_recommendations",
    "time_series_analysis",
    "statistical_analysis",
    "journey_metrics",
)

Row = tuple[str, str]


def summary(
    stack: Stack,
    facts: dict[str, Any],
    drained: dict[str, Any],
    before: dict[str, Any],
    training: dict[str, str | None],
    quality_run: str,
) -> str:
    """Describe what the demo has made.

    Args:
        stack: Whose database is read.
        facts: The events `file` and what it holds (`inspect_events`).
        drained: What the topic holds (`await_stream`).
        before: What the streaming application said of itself before the replay.
        training: State of each task of the training run.
        quality_run: Run id of the data-quality run.

    Returns:
        A table of two columns, ready to print.
    """
    client: MongoClient[dict[str, Any]] = MongoClient(stack.mongodb_uri)
    try:
        db = client[stack.settings.database]
        sections = {
            "events": _events(db, facts, drained, before),
            "documents": [(name, f"{db[name].estimated_document_count():,}") for name in COLLECTIONS],
            "data quality": _quality(db, quality_run),
            f"models as of {facts['as_of']}": _models(db, facts["as_of"], training),
        }
    finally:
        client.close()
    width = max(len(name) for rows in sections.values() for name, _ in rows)
    lines = []
    for title, rows in sections.items():
        lines += ["", title.upper(), *(f"  {name:<{width}}  {value}" for name, value in rows)]
    return "\n".join([*lines, ""])


def _events(
    db: Database[dict[str, Any]], facts: dict[str, Any], drained: dict[str, Any], before: dict[str, Any]
) -> list[Row]:
    driver = db["stream_health"].find_one({"_id": "driver"}) or {}

    def new(counter: str) -> str:
        return f"{driver.get(counter, 0) - before.get(counter, 0):,}"

    return [
        ("file", str(facts["file"])),
        ("rows in the file", f"{facts['rows']:,}"),
        ("from, to", f"{facts['first_event'][:16]}, {facts['last_event'][:16]} UTC"),
        ("accepted", new("accepted")),
        ("dead-lettered", new("dead_lettered")),
        ("seen before, late", f"{new('duplicates')}, {new('late_events')}"),
        ("records in the topic, in all", f"{drained['records']:,}"),
    ]


def _quality(db: Database[dict[str, Any]], run_id: str) -> list[Row]:
    safe = "".join(sign if sign.isalnum() or sign in "._-" else "_" for sign in run_id)
    results = list(db["data_quality_results"].find({"run_id": safe})) or list(
        db["data_quality_results"].find().sort("started_at", -1).limit(20)
    )
    counts: dict[str, int] = {}
    for result in results:
        counts[result["status"]] = counts.get(result["status"], 0) + 1
    rows = [("collections", ", ".join(f"{count} {status}" for status, count in sorted(counts.items())) or "none")]
    return rows + [
        (f"  {one['collection']}", one["status"]) for one in results if one["status"] not in ("passed", "empty")
    ]


def _models(db: Database[dict[str, Any]], as_of: str, training: dict[str, str | None]) -> list[Row]:
    rows: list[Row] = []
    for task in ("segments", "churn", "recommendations"):
        run = db["model_runs"].find_one({"_id": f"{as_of}|{task}"})
        if training.get(task) == "skipped" or run is None:
            rows.append((task, "skipped: the file holds too little history (the task's log says what is missing)"))
            continue
        figures = [f"{name} {value:.3f}" for name, value in sorted(run["metrics"].items()) if isinstance(value, float)]
        rows.append((task, ", ".join(figures[:7]) or "made, but too little history to measure them by"))
    return rows
