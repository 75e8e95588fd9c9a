from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from pyspark.sql import DataFrame

from spark_jobs.ml.journeys import (
    drop_off_documents,
    duration_documents,
    funnel_documents,
    path_documents,
    visits,
)

MakeEvent = Callable[..., dict[str, Any]]
MakeFrame = Callable[..., DataFrame]

MINUTE = 1 / 1440


def journey(event: MakeEvent, session: str, *steps: tuple[float, str], user: int = 7) -> list[dict[str, Any]]:
    """Events of one session, each so many minutes after its start."""
    return [event(1 - minute * MINUTE, kind, user_session=session, user_id=user) for minute, kind in steps]


@pytest.fixture
def shop(event: MakeEvent, frame: MakeFrame) -> DataFrame:
    """Five visits: bought, abandoned, looked twice, bounced, bought without a cart."""
    return visits(
        frame(
            [
                *journey(event, "a", (0, "view"), (1, "view"), (4, "cart"), (10, "purchase")),
                *journey(event, "b", (0, "view"), (2, "cart"), (3, "remove_from_cart")),
                *journey(event, "c", (0, "view"), (30, "view")),
                *journey(event, "c", (60.001, "view")),
                *journey(event, "d", (0, "view"), (6, "purchase")),
            ]
        )
    )


def test_a_silence_over_30_minutes_starts_a_visit(event: MakeEvent, frame: MakeFrame) -> None:
    events = [
        *journey(event, "a", (0, "view"), (30, "cart"), (60.1, "purchase"), (61, "view")),
        *journey(event, "a", (0, "view"), user=8),
    ]
    found = sorted(visits(frame(events)).collect(), key=lambda row: (row["user_id"], row["visit"]))
    assert [(row["user_id"], row["visit"], row["event_count"]) for row in found] == [(7, 1, 2), (7, 2, 2), (8, 1, 1)]
    assert [row["path"] for row in found] == ["view > cart", "purchase > view", "view"]
    assert [row["minutes_to_cart"] for row in found] == [30.0, None, None]


def test_paths_drop_repetitions_and_end_after_eight_steps(event: MakeEvent, frame: MakeFrame) -> None:
    steps = [(minute, "view" if minute % 4 < 2 else "cart") for minute in range(20)]
    (visit,) = visits(frame(journey(event, "a", *steps))).collect()
    assert visit["event_count"] == 20
    assert visit["path"] == " > ".join(["view", "cart"] * 4) + " > ..."


def test_events_of_the_same_moment_are_ordered_by_id(event: MakeEvent, frame: MakeFrame) -> None:
    events = [event(1, kind, _id=key) for key, kind in [("3", "purchase"), ("1", "view"), ("2", "cart")]]
    (visit,) = visits(frame(events)).collect()
    assert visit["path"] == "view > cart > purchase"


def test_funnel(shop: DataFrame, as_of: datetime) -> None:
    (document,) = funnel_documents(shop, as_of).collect()
    fields = document.asDict()
    assert fields.pop("as_of").timestamp() == as_of.timestamp()
    assert fields == pytest.approx(
        {
            "_id": "2019-11-01T00:00:00Z|session_funnel",
            "metric": "session_funnel",
            "total_sessions": 5,
            "sessions_with_view": 5,
            "sessions_with_cart": 2,
            "sessions_with_purchase": 2,
            "view_to_cart_rate": 40.0,
            "cart_to_purchase_rate": 100.0,
            "overall_conversion_rate": 40.0,
        }
    )


def test_drop_off(shop: DataFrame, as_of: datetime) -> None:
    (document,) = drop_off_documents(shop, as_of).collect()
    assert (document["bounce_rate"], document["view_drop_off_rate"], document["cart_drop_off_rate"]) == (20, 40, 50)


def test_durations(shop: DataFrame, as_of: datetime) -> None:
    found = {row["metric"]: row for row in duration_documents(shop, as_of).collect()}
    assert set(found) == {"time_to_cart", "time_to_purchase"}
    cart, purchase = found["time_to_cart"], found["time_to_purchase"]
    assert (cart["sessions"], cart["median_minutes"]) == (2, pytest.approx(3.0))
    assert (purchase["sessions"], purchase["median_minutes"]) == (2, pytest.approx(8.0))
    assert purchase["p90_minutes"] == pytest.approx(9.6)


def test_paths_are_ranked_by_number_then_name(shop: DataFrame, as_of: datetime) -> None:
    (document,) = path_documents(shop, as_of).collect()
    paths = [(path["path"], path["sessions"], path["share"]) for path in document["paths"]]
    assert paths == [
        ("view", 2, 40.0),
        ("view > cart > purchase", 1, 20.0),
        ("view > cart > remove_from_cart", 1, 20.0),
        ("view > purchase", 1, 20.0),
    ]


def test_without_views_or_carts_rates_are_undefined(event: MakeEvent, frame: MakeFrame, as_of: datetime) -> None:
    only = visits(frame([event(1, "purchase")]))
    (funnel,) = funnel_documents(only, as_of).collect()
    assert (funnel["view_to_cart_rate"], funnel["cart_to_purchase_rate"]) == (None, None)
    assert funnel["overall_conversion_rate"] == 100.0
    times = {row["metric"]: row["median_minutes"] for row in duration_documents(only, as_of).collect()}
    assert times == {"time_to_cart": None, "time_to_purchase": 0.0}
