"""Where the next check begins; the reading itself is tested on a server (tests/servers/test_quality_store.py)."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from spark_jobs.quality.windows import Mark, Window, next_since, parse_window

SINCE, UNTIL = datetime(2019, 11, 1, 10, tzinfo=UTC), datetime(2019, 11, 1, 11, tzinfo=UTC)
WINDOW = Window("insertion", "processing_timestamp")


def _last(critical: int = 0, generation: str | None = "a") -> dict[str, Any]:
    return {"window": Mark(SINCE, UNTIL, generation).document(), "critical": critical}


def test_the_next_check_begins_where_the_last_one_ended() -> None:
    assert next_since(_last(), "a", WINDOW) == UNTIL


def test_what_was_critical_is_checked_again_until_it_is_mended() -> None:
    assert next_since(_last(critical=1), "a", WINDOW) == SINCE
    whole = {"window": Mark(None, UNTIL, "a").document(), "critical": 1}
    assert next_since(whole, "a", WINDOW) is None


@pytest.mark.parametrize(
    ("last", "generation", "window"), [(None, "a", WINDOW), (_last(), "b", WINDOW), (_last(), "a", None)]
)
def test_everything_is_read_at_first_and_after_a_new_beginning(
    last: dict[str, Any] | None, generation: str, window: Window | None
) -> None:
    assert next_since(last, generation, window) is None


def test_a_new_beginning_of_the_stream_means_nothing_to_models() -> None:
    assert next_since(_last(), "b", Window("as_of")) == UNTIL


def test_windows_are_read_from_suites() -> None:
    content = {"by": "id", "field": "window_start", "overlap_minutes": 70, "prefixes": ["a|", "b|"]}
    assert parse_window(content) == Window("id", "window_start", timedelta(minutes=70), ("a|", "b|"))
    assert parse_window({"by": "as_of"}) == Window("as_of")
    assert parse_window(None) is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("insertion", "`by` must be one of insertion, index"),
        ({"by": "insert"}, "`by` must be one of insertion, index"),
        ({"by": "insertion"}, "by insertion takes field"),
        ({"by": "as_of", "field": "x"}, "by as_of takes nothing else"),
        ({"by": "index", "field": "x", "overlap_minutes": -1}, "overlap_minutes is -1"),
        ({"by": "id", "field": "x", "overlap_minutes": 1, "prefixes": "a"}, "prefixes is 'a', not a list"),
    ],
)
def test_malformed_windows_are_refused(content: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_window(content)
