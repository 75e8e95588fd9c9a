"""The users of a generated shop: the truth file, and behaviour that a churn model and segments can learn from."""

import csv
from collections import Counter, defaultdict
from datetime import datetime, timedelta
from statistics import mean

import pytest
from generator_checks import Event, parse, parse_time, read_lines

from data.generate_events import generate
from data.shopgen.settings import Settings
from data.shopgen.users import USER_TYPES

SETTINGS = Settings(users=1_500, days=28, events=80_000, seed=11)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Event], list[dict[str, str]]]:
    folder = tmp_path_factory.mktemp("users")
    generate(SETTINGS, folder / "events.csv", folder / "truth.csv.gz")
    return parse(read_lines(folder / "events.csv")[1:]), list(csv.DictReader(read_lines(folder / "truth.csv.gz")))


@pytest.fixture(scope="module")
def visits(files: tuple[list[Event], list[dict[str, str]]]) -> dict[int, list[datetime]]:
    """Start of each session of each user."""
    starts: dict[str, Event] = {}
    for event in files[0]:
        starts.setdefault(event.session, event)
    by_user = defaultdict(list)
    for event in starts.values():
        by_user[event.user].append(event.time)
    return by_user


@pytest.fixture(scope="module")
def kinds(files: tuple[list[Event], list[dict[str, str]]]) -> dict[int, str]:
    return {int(row["user_id"]): row["type"] for row in files[1]}


def test_truth_holds_exactly_the_users_of_the_file(
    files: tuple[list[Event], list[dict[str, str]]], kinds: dict[int, str]
) -> None:
    assert list(files[1][0]) == ["user_id", "type", "churned_at"]
    assert len(kinds) == len(files[1])
    assert set(kinds) == {event.user for event in files[0]}
    assert set(kinds.values()) == {user_type.name for user_type in USER_TYPES}
    assert len(kinds) > 0.9 * SETTINGS.users


def test_nobody_starts_a_visit_after_churning(
    files: tuple[list[Event], list[dict[str, str]]], visits: dict[int, list[datetime]]
) -> None:
    churned = {int(row["user_id"]): parse_time(row["churned_at"]) for row in files[1] if row["churned_at"]}
    assert 0.2 < len(churned) / len(visits) < 0.6
    assert [user for user, moment in churned.items() if visits[user][-1] >= moment] == []


def test_types_differ_in_frequency_and_conversion(
    files: tuple[list[Event], list[dict[str, str]]], kinds: dict[int, str]
) -> None:
    rows, purchases, users = Counter[str](), Counter[str](), Counter(kinds.values())
    for event in files[0]:
        rows[kinds[event.user]] += 1
        purchases[kinds[event.user]] += event.kind == "purchase"
    per_user = {name: rows[name] / users[name] for name in users}
    assert per_user["champion"] > 2 * per_user["loyal"] > 8 * per_user["occasional"] > 8 * per_user["one_time"]
    conversion = {name: purchases[name] / rows[name] for name in users}
    assert conversion["champion"] > 1.5 * conversion["loyal"] > 15 * conversion["window_shopper"]


def test_users_arrive_over_time_and_one_time_users_come_once(
    visits: dict[int, list[datetime]], kinds: dict[int, str]
) -> None:
    first = Counter(starts[0].date() for user, starts in visits.items() if kinds[user] in ("one_time", "new"))
    assert len(first) > 20
    middle = datetime.fromisoformat("2019-10-15T00:00:00+00:00")
    assert min(visits[user][0] for user, kind in kinds.items() if kind == "new") >= middle
    assert all(len(visits[user]) == 1 for user, kind in kinds.items() if kind == "one_time")


def test_churners_fade_before_they_leave(
    files: tuple[list[Event], list[dict[str, str]]], visits: dict[int, list[datetime]], kinds: dict[int, str]
) -> None:
    last, earlier = [], []
    for row in files[1]:
        user = int(row["user_id"])
        if kinds[user] == "churner" and row["churned_at"]:
            end = parse_time(row["churned_at"])
            ages = [(end - start) / timedelta(days=1) for start in visits[user]]
            last.append(sum(age <= 5 for age in ages))
            earlier.append(sum(15 < age <= 20 for age in ages))
    assert len(last) > 50
    assert mean(earlier) > 1.5 * mean(last)


def test_churn_is_predictable_beyond_recency(visits: dict[int, list[datetime]]) -> None:
    """Among users seen in the last two days, those whose visits became rarer leave more often."""
    end = datetime.fromisoformat("2019-10-29T00:00:00+00:00")
    cutoff = end - timedelta(days=7)
    left: dict[bool, list[bool]] = {True: [], False: []}
    for starts in visits.values():
        ages = [(cutoff - start) / timedelta(days=1) for start in starts if start < cutoff]
        if ages and min(ages) < 2 and len(ages) >= 6:
            fading = sum(age < 5 for age in ages) < sum(5 <= age < 10 for age in ages) / 2
            left[fading].append(starts[-1] < cutoff)
    assert min(map(len, left.values())) >= 25
    assert mean(left[True]) > mean(left[False]) + 0.10
