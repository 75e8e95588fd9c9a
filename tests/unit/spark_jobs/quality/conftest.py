"""Small, valid documents of every streaming collection, and one Great Expectations project per test session."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from spark_jobs.audit.enrich import enrich
from spark_jobs.audit.recompute import recompute
from spark_jobs.quality.engine import Engine
from spark_jobs.quality.figures import Figure
from spark_jobs.quality.frames import to_frame
from spark_jobs.quality.outcome import Finding
from spark_jobs.quality.rules import add_rules
from spark_jobs.quality.suites import Suite, load_suite

Document = dict[str, Any]

START = datetime(2019, 10, 5, 10, tzinfo=UTC)
PRODUCT = {"product_name": "Acme Phone", "category_name": "electronics", "subcategory": "phone"}
USER = {"country": "DE", "city": "Berlin", "age_group": "25-34", "gender": "female", "user_segment": None}
STEPS = ("view", "view", "cart", "remove_from_cart", "cart", "purchase")


def _raw_events() -> list[Document]:
    """Forty visits of one to six events, one price of zero, and an event that is there twice but for its id."""
    events = [
        {
            "event_id": f"event-{visitor}-{step}",
            "event_time": (START + timedelta(minutes=7 * visitor + step)).isoformat(),
            "event_type": event_type,
            "product_id": 1 + visitor % 3,
            "category_code": "electronics.phone",
            "brand": "acme" if visitor % 2 else None,
            "price": (0.0, 19.99, 20.0, 150.0, 999.5)[visitor % 5],
            "user_id": 100 + visitor,
            "user_session": f"session-{visitor}",
        }
        for visitor in range(40)
        for step, event_type in enumerate(STEPS[: 1 + visitor % 6])
    ]
    return [*events, events[0] | {"event_id": "event-again"}]


@pytest.fixture(scope="session")
def valid() -> dict[str, list[Document]]:
    """Documents by collection that every expectation holds for."""
    products, users = dict.fromkeys((1, 2, 3), PRODUCT), dict.fromkeys(range(100, 140), USER)
    enriched = list(enrich(_raw_events(), products, users).values())
    for offset, event in enumerate(enriched):
        event |= {"kafka_partition": 0, "kafka_offset": offset, "processing_timestamp": START + timedelta(days=1)}
    streaming = {name: list(documents.values()) for name, documents in recompute(enriched).items()}
    return {"enriched_events": enriched} | streaming


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    """Great Expectations; importing it takes seconds."""
    return Engine(tmp_path_factory.mktemp("quality"), "test")


@pytest.fixture(scope="session")
def validated(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, list[Document]], dict[str, Finding]]:
    """Function (collection, documents) -> findings by expectation, with the reviewed suite of the collection."""

    def run(collection: str, documents: list[Document]) -> dict[str, Finding]:
        suite = load_suite(collection)
        return validate(suite, documents, tmp_path_factory.mktemp(collection))

    return run


def validate(suite: Suite, documents: list[Document], folder: Path) -> dict[str, Finding]:
    """Findings of a suite over documents, by expectation; whatever they refer to exists, and no figure is known."""
    frame = add_rules(to_frame(documents, suite.columns), suite.rules)
    known = {name: frame[one.field].notna().astype("boolean") for name, one in suite.references.items()}
    judging = Engine(folder, "test").judging(suite)
    judging.batch(frame.assign(**known))
    judging.figures(dict.fromkeys(suite.figures, Figure(None, "nothing to compare with")))
    return {finding.expectation: finding for finding in judging.findings()}
