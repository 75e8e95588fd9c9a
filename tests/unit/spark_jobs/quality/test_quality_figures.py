"""Figures about all documents of a check, and how they differ from before."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from spark_jobs.quality.figures import (
    Figure,
    FigureSpec,
    Profile,
    figures,
    mix_shift,
    parse_figures,
    quantile_shift,
    volume_ratio,
)
from spark_jobs.quality.frames import to_frame

NOW = datetime(2019, 11, 8, 12, 30, tzinfo=UTC)
COLUMNS = {"_id": "string", "price": "number", "type": "string", "at": "date"}
SPECS = {
    "age": FigureSpec("age_minutes", "at"),
    "volume": FigureSpec("volume_ratio", "at"),
    "mix": FigureSpec("mix_shift", "type"),
    "prices": FigureSpec("quantile_shift", "price"),
    "spread": FigureSpec("spread", "price"),
    "types": FigureSpec("distinct", "type"),
}


def _documents(count: int, price: float, kind: str = "view") -> list[dict[str, Any]]:
    return [
        {"_id": str(n), "price": price, "type": kind if n % 4 else "cart", "at": NOW - timedelta(minutes=n % 60)}
        for n in range(count)
    ]


def _profile(*batches: list[dict[str, Any]]) -> Profile:
    profile = Profile(SPECS.values())
    for batch in batches:
        profile.add(to_frame(batch, COLUMNS))
    return profile


def _figures(profile: Profile, *history: Profile) -> dict[str, Figure]:
    return figures(SPECS, profile, [one.document() for one in history], NOW, lambda *_: 0)


def test_what_is_like_before_has_not_shifted() -> None:
    found = _figures(_profile(_documents(2_000, 10.0)), _profile(_documents(5_000, 10.0)))
    assert found["mix"].value == pytest.approx(0.0)
    assert found["prices"].value == pytest.approx(1.0)


def test_what_has_changed_says_by_how_much() -> None:
    past = _profile(_documents(3_000, 10.0), _documents(3_000, 10.0))
    found = _figures(_profile(_documents(2_000, 40.0, "purchase")), past)
    assert found["mix"].value == pytest.approx(0.75)
    assert found["mix"].detail in ("view was 75.0%, is 0.0%", "purchase was 0.0%, is 75.0%")
    # Four times as much, to the width of a class.
    assert found["prices"].value == pytest.approx(4.0, rel=0.13)
    assert "was 10.59, is 42.17" in found["prices"].detail


def test_too_little_to_compare_is_no_figure() -> None:
    few, many = _profile(_documents(999, 10.0)), _profile(_documents(6_000, 90.0))
    assert _figures(few, many)["prices"].value is None
    assert _figures(many, few)["mix"].value is None


def test_age_counts_from_the_newest_ever_seen() -> None:
    assert _figures(_profile(_documents(9, 1.0)))["age"].value == 0.0
    nothing_new = figures(
        SPECS, _profile(), [_profile(_documents(1, 1.0)).document()], NOW + timedelta(hours=3), lambda *_: 0
    )
    assert nothing_new["age"].value == 180.0
    assert _figures(_profile())["age"].value is None


def test_spread_and_distinct_add_up_over_batches() -> None:
    found = _figures(_profile(_documents(3, 1.0), _documents(3, 3.0)))
    assert found["spread"].value == pytest.approx(1.0)
    assert found["types"].value == 2.0
    assert _figures(_profile([]))["types"].value is None


def test_volume_compares_the_newest_complete_hour_with_the_same_hour_of_other_days() -> None:
    asked: list[datetime] = []

    def counting(column: str, start: datetime, end: datetime) -> int:
        assert (column, end - start) == ("at", timedelta(hours=1))
        asked.append(start)
        return {0: 50, 1: 200, 2: 100, 3: 300}.get((NOW - start).days, 0)

    found = volume_ratio("at", NOW, counting)
    assert asked[0] == datetime(2019, 11, 8, 11, tzinfo=UTC)
    assert {start.hour for start in asked} == {11}
    # The four days without any are no measure.
    assert found == Figure(0.25, "50 in the hour from 2019-11-08 11:00 UTC, usually 200")


def test_an_hour_is_complete_when_nothing_on_time_can_come_any_more() -> None:
    newest = datetime(2019, 11, 8, 12, 9, tzinfo=UTC)
    found = volume_ratio("at", newest, lambda _column, start, _end: start.hour)
    assert found.detail == "10 in the hour from 2019-11-08 10:00 UTC, usually 10"


def test_volume_needs_other_days() -> None:
    assert volume_ratio("at", NOW, lambda *_: 0).value is None


def test_zeros_are_a_class_of_their_own() -> None:
    free = Profile([SPECS["prices"]])
    free.add(to_frame([{"_id": "a", "price": 0.0}, {"_id": "b", "price": 10.0}], COLUMNS))
    assert free.counts["price"] == Counter({"zero": 1, "20": 1})
    assert quantile_shift(Counter({"zero": 9}), Counter({"20": 9})).value is None


def test_shares_of_values_that_are_gone_count_too() -> None:
    assert mix_shift(Counter(a=1), Counter(a=1, b=1)).value == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "is not an object"),
        ({"x": {"kind": "mix_shift"}}, r"\.x is .*not an object of `kind` and `column`"),
        ({"x": {"kind": "mixshift", "column": "type"}}, r"\.x has the kind 'mixshift'; known kinds are age_minutes"),
        ({"x": {"kind": "mix_shift", "column": "price"}}, r"\.x: column 'price' is not among meta.columns as a string"),
        ({"x": {"kind": "age_minutes", "column": "when"}}, r"column 'when' is not among meta.columns as a date"),
    ],
)
def test_malformed_figures_are_refused(content: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_figures(content, COLUMNS)
