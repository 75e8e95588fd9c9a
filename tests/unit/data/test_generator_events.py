"""The events of a generated shop: exact, ordered, well-formed, and like the public data."""

import re
from collections import Counter, defaultdict
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from generator_checks import COLUMNS, Event, faults, parse, read_lines

from data.generate_events import generate
from data.shopgen import shop as shop_module
from data.shopgen.rhythm import day_weights
from data.shopgen.settings import Settings
from data.shopgen.shop import Shop

SETTINGS = Settings(users=1_500, days=14, events=60_000, seed=7)
START = datetime(2019, 10, 1, tzinfo=UTC)
LINE = re.compile(
    r"2019-10-\d\d \d\d:\d\d:\d\d UTC,(view|cart|purchase|remove_from_cart),\d{7,8},2\d{18},"
    r"([a-z_]+(\.[a-z_]+)+)?,[^,]*,\d{1,4}\.\d\d,5\d{8},"
    r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
)


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    path = tmp_path_factory.mktemp("events") / "events.csv.gz"
    generate(SETTINGS, path)
    return read_lines(path)


@pytest.fixture(scope="module")
def events(lines: list[str]) -> list[Event]:
    return parse(lines[1:])


def share(events: list[Event], values: list[bool]) -> float:
    assert len(values) == len(events)
    return sum(values) / len(events)


def test_same_arguments_make_the_same_bytes_and_another_seed_does_not(tmp_path: Path) -> None:
    small = {"users": 100, "days": 3, "events": 3_000, "dirty": 0.02}
    for name, seed in (("a.csv.gz", 1), ("b.csv.gz", 1), ("c.csv.gz", 2), ("d.csv", 1)):
        generate(Settings(seed=seed, **small), tmp_path / name)  # type: ignore[arg-type]
    first = (tmp_path / "a.csv.gz").read_bytes()
    assert first == (tmp_path / "b.csv.gz").read_bytes()
    assert read_lines(tmp_path / "a.csv.gz") == read_lines(tmp_path / "d.csv")
    assert read_lines(tmp_path / "a.csv.gz") != read_lines(tmp_path / "c.csv.gz")
    assert first[4:8] == bytes(4), "the gzip header holds a time"


@pytest.mark.parametrize(
    ("users", "days", "events"),
    [(1, 1, 1), (1, 2, 5_000), (5_000, 1, 10), (3, 400, 1_234), (2_000, 1, 20_000), (50, 7, 1_001)],
)
def test_any_shop_has_exactly_the_wanted_rows(tmp_path: Path, users: int, days: int, events: int) -> None:
    summary = generate(Settings(users=users, days=days, events=events), tmp_path / "events.csv")
    rows = parse(read_lines(tmp_path / "events.csv")[1:])
    assert len(rows) == summary.rows == events
    assert len({row.user for row in rows}) == summary.users <= users
    assert len({row.product for row in rows}) == summary.products
    assert START <= rows[0].time <= rows[-1].time < START + timedelta(days=days)


def test_header_and_form_of_every_row(lines: list[str]) -> None:
    assert lines[0].split(",") == COLUMNS
    assert len(lines) == SETTINGS.events + 1
    assert [line for line in lines[1:] if not LINE.fullmatch(line)] == []
    assert [line for line in lines[1:] if faults(line)] == []


def test_rows_are_ordered_and_cover_the_period(events: list[Event]) -> None:
    times = [event.time for event in events]
    assert times == sorted(times)
    assert {time.date() for time in times} == {date(2019, 10, day) for day in range(1, 15)}


def test_start_moves_the_period(tmp_path: Path) -> None:
    generate(Settings(users=50, days=3, events=500, start=date(2024, 2, 28)), tmp_path / "events.csv")
    days = {line[:10] for line in read_lines(tmp_path / "events.csv")[1:]}
    assert days == {"2024-02-28", "2024-02-29", "2024-03-01"}


def test_attributes_are_constant_per_product_and_category(events: list[Event]) -> None:
    products, codes, daily_prices = defaultdict(set), defaultdict(set), defaultdict(set)
    for event in events:
        products[event.product].add((event.category, event.code, event.brand))
        codes[event.category].add(event.code)
        daily_prices[event.product, event.time.date()].add(event.price)
    assert max(map(len, products.values())) == 1
    assert max(map(len, codes.values())) == 1
    assert max(map(len, daily_prices.values())) == 1
    prices = defaultdict(set)
    for event in events:
        prices[event.product].add(event.price)
    assert any(len(values) > 1 for values in prices.values()), "no price ever changes"


def test_missing_values_prices_and_duplicates_are_as_in_the_public_data(events: list[Event]) -> None:
    assert share(events, [not event.code for event in events]) == pytest.approx(0.32, abs=0.04)
    assert share(events, [not event.brand for event in events]) == pytest.approx(0.14, abs=0.03)
    assert share(events, [event.price == 0 for event in events]) == pytest.approx(0.0014, abs=0.0012)
    assert 1_500 < max(event.price for event in events) <= 2574.07
    assert 1 - len(set(events)) / len(events) == pytest.approx(0.0007, abs=0.0004)


def test_event_mix_is_that_of_the_public_data(events: list[Event]) -> None:
    mix = Counter(event.kind for event in events)
    assert mix["view"] / len(events) == pytest.approx(0.9595, abs=0.006)
    assert mix["cart"] / len(events) == pytest.approx(0.0218, abs=0.004)
    assert mix["purchase"] / len(events) == pytest.approx(0.0175, abs=0.004)
    assert 0.0003 < mix["remove_from_cart"] / len(events) < 0.003


def test_popularity_is_heavy_tailed(events: list[Event]) -> None:
    products = [count for _, count in Counter(event.product for event in events).most_common()]
    assert sum(products[: len(products) // 100]) > 0.10 * len(events)
    assert sum(products[: len(products) // 10]) > 0.35 * len(events)
    assert products[len(products) // 2] <= 6
    codes = Counter(event.code for event in events if event.code).most_common(2)
    assert codes[0][0] == "electronics.smartphone"
    assert codes[0][1] > 3 * codes[1][1]
    brands = [brand for brand, _ in Counter(event.brand for event in events if event.brand).most_common(3)]
    assert set(brands) == {"samsung", "apple", "xiaomi"}


def test_daily_and_weekly_rhythm(events: list[Event]) -> None:
    hours = Counter(event.time.hour for event in events)
    mean = len(events) / 24
    assert all(hours[hour] < 0.5 * mean for hour in (23, 0, 1))
    assert all(hours[hour] > 1.25 * mean for hour in (13, 14, 15, 16))
    days = Counter(event.time.date() for event in events)
    weekend = sum(days[date(2019, 10, day)] for day in (5, 6, 12, 13)) / 4
    midweek = sum(days[date(2019, 10, day)] for day in (1, 2, 3, 7, 8, 9, 10, 14)) / 8
    assert 1.05 < weekend / midweek < 1.6


def test_weekends_are_busier_beyond_chance_and_taste() -> None:
    weights = day_weights(np.random.default_rng(0), date(2019, 9, 30), 700).reshape(100, 7)
    assert 1.08 < weights[:, 5:].mean() / weights[:, :5].mean() < 1.25
    assert 0.01 < weights[:, 0].std() < 0.05


def test_sessions_belong_to_one_user_and_some_live_over_two_visits(events: list[Event]) -> None:
    users, times = defaultdict(set), defaultdict(list)
    for event in events:
        users[event.session].add(event.user)
        times[event.session].append(event.time)
    assert max(map(len, users.values())) == 1
    assert 3 < len(events) / len(times) < 7
    gaps = {
        session: [(later - earlier).total_seconds() for earlier, later in pairwise(moments)]
        for session, moments in times.items()
    }
    revived = sum(any(gap > 1_800 for gap in values) for values in gaps.values()) / len(gaps)
    assert 0.01 < revived < 0.08
    every = sorted(gap for values in gaps.values() for gap in values)
    assert 20 < every[len(every) // 2] < 50
    assert any(moments[0].date() != moments[-1].date() for moments in times.values()), "no visit crosses midnight"


def test_purchases_follow_carts_follow_views(events: list[Event]) -> None:
    seen: dict[tuple[str, int], set[str]] = defaultdict(set)
    after: dict[str, list[set[str]]] = defaultdict(list)
    for event in events:
        before = seen[event.session, event.product]
        after[event.kind].append(set(before))
        before.add(event.kind)
    assert all("view" in before for kind in ("cart", "purchase", "remove_from_cart") for before in after[kind])
    assert all("cart" in before for before in after["remove_from_cart"])
    assert 0.6 < sum("cart" in before for before in after["purchase"]) / len(after["purchase"]) < 0.9


def test_slices_are_bounded_and_seamless(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shop_module, "ROWS_PER_SLICE", 500)
    for events in (4_000, 40_000):
        previous, total = 0, 0
        for day, rows in Shop(Settings(users=300, days=2, events=events)).play():
            assert len(rows) < 3 * 500, "a slice grows with the number of events"
            if len(rows):
                assert rows.times[0] >= previous
                assert (rows.times // 86_400 == day).all()
                previous = rows.times[-1]
            total += len(rows)
        assert total == events
