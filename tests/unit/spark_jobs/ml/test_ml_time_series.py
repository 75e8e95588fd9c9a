from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from pyspark.sql import DataFrame

from spark_jobs.errors import JobSkipped
from spark_jobs.ml.time_series import known_days, time_series_documents

MakeEvent = Callable[..., dict[str, Any]]
MakeFrame = Callable[..., DataFrame]


def test_only_complete_days_are_reported() -> None:
    month_ago = datetime(2019, 9, 1, tzinfo=UTC)
    midnight = known_days(datetime(2019, 11, 1, tzinfo=UTC), month_ago)
    assert midnight == (date(2019, 9, 26), date(2019, 10, 2), date(2019, 10, 31))
    assert known_days(datetime(2019, 11, 1, 18, tzinfo=UTC), month_ago) == midnight


def test_days_before_the_first_event_are_not_gaps() -> None:
    first_event = datetime(2019, 10, 30, 15, tzinfo=UTC)
    assert known_days(datetime(2019, 11, 1, tzinfo=UTC), first_event) == (
        date(2019, 10, 30),
        date(2019, 10, 30),
        date(2019, 10, 31),
    )
    with pytest.raises(JobSkipped, match=r"no complete day before 2019-10-30T18:00:00Z"):
        known_days(datetime(2019, 10, 30, 18, tzinfo=UTC), first_event)


def test_gaps_averages_and_growth_by_hand(event: MakeEvent, frame: MakeFrame, as_of: datetime) -> None:
    # Views on 10-27: 4 of 2 users in 3 sessions, none on 10-28 and 10-29, 3 on 10-30, 6 on 10-31.
    events = [
        *(
            event(4.5, price=1.5, user_id=user, user_session=session)
            for user, session in [(1, "a"), (1, "b"), (2, "c")]
        ),
        event(4.1, price=None, user_id=2, user_session="c"),
        *(event(1.5) for _ in range(3)),
        *(event(0.5) for _ in range(6)),
        event(0.5, "purchase", price=99.9),
        event(0.0),
    ]
    documents = time_series_documents(frame(events), as_of, as_of - timedelta(days=4.5)).collect()
    assert len(documents) == 5 * 4
    views = sorted((row.asDict() for row in documents if row["event_type"] == "view"), key=lambda row: row["date"])
    assert [row["event_count"] for row in views] == [4, 0, 0, 3, 6]
    assert [row["ma_3day_events"] for row in views] == pytest.approx([4, 2, 4 / 3, 1, 3])
    assert [row["ma_7day_events"] for row in views] == pytest.approx([4, 2, 4 / 3, 7 / 4, 13 / 5])
    assert [row["ma_7day_users"] for row in views] == pytest.approx([2, 1, 2 / 3, 3 / 4, 4 / 5])
    assert [row["day_over_day_growth"] for row in views] == [None, -100.0, None, None, 100.0]
    first = views[0]
    assert first["_id"] == "2019-11-01T00:00:00Z|2019-10-27|view"
    assert first["date"].timestamp() == datetime(2019, 10, 27, tzinfo=UTC).timestamp()
    assert (first["unique_users"], first["unique_sessions"], first["revenue"]) == (2, 3, 4.5)
    purchases = [row for row in documents if row["event_type"] == "purchase"]
    assert sum(row["revenue"] for row in purchases) == 99.9
    assert {row["event_count"] for row in documents if row["event_type"] == "cart"} == {0}


def test_averages_look_back_beyond_the_reported_days(event: MakeEvent, frame: MakeFrame, as_of: datetime) -> None:
    # One event a day before the 30 days, two in them: the first reported average knows both.
    events = [event(day + 0.5) for day in range(36) for _ in range(2 if day < 30 else 1)]
    documents = time_series_documents(frame(events), as_of, as_of - timedelta(days=37)).collect()
    views = sorted((row for row in documents if row["event_type"] == "view"), key=lambda row: row["date"])
    assert len(views) == 30
    assert views[0]["ma_7day_events"] == pytest.approx((6 * 1 + 2) / 7)
    assert views[0]["day_over_day_growth"] == 100.0
