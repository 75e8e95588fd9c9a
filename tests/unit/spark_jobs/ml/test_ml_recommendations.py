import random
from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import datetime
from itertools import permutations
from typing import Any

import numpy as np
import pytest
from pyspark.sql import DataFrame, SparkSession

from spark_jobs.ml.affinity import NEIGHBOURS, PARTS, PRIOR_SESSIONS, Ranking, affinities, blocks
from spark_jobs.ml.recommendations import (
    TOP,
    hit_rates,
    popular_products,
    recommendation_documents,
    table,
    user_recommendations,
)
from spark_jobs.ml.touches import MOST_PER_SESSION, MOST_PER_USER, Integers, Touches

MakeEvent = Callable[..., dict[str, Any]]
MakeFrame = Callable[..., DataFrame]


def ranked(found: Ranking, ids: Integers, touched: Touches) -> dict[int, list[tuple[int, float]]]:
    """(other product, score) by id of the row, in the order of the ranks."""
    by_row: dict[int, list[tuple[int, float]]] = defaultdict(list)
    for row, column, score, rank in zip(found.rows, found.columns, found.scores, found.ranks, strict=True):
        others = by_row[int(ids[row])]
        others.append((int(touched.product_ids[column]), float(score / PARTS)))
        assert rank == len(others)
    return dict(by_row)


def similar(touched: Touches) -> dict[int, list[tuple[int, float]]]:
    return ranked(affinities(touched).similar, touched.product_ids, touched)


def for_users(touched: Touches) -> dict[int, list[tuple[int, float]]]:
    return ranked(user_recommendations(touched, affinities(touched)), touched.user_ids, touched)


Scores = dict[int, dict[int, float]]


def expected(events: list[dict[str, Any]]) -> tuple[Scores, Counter[int], int]:
    """Strength of each pair, sessions with each product, and all sessions: the definition, in plain Python."""
    sessions, buyers = defaultdict(set), defaultdict(set)
    for event in events:
        sessions[event["user_id"], event["user_session"]].add(event["product_id"])
        if event["event_type"] == "purchase":
            buyers[event["user_id"]].add(event["product_id"])
    strengths: Scores = defaultdict(lambda: defaultdict(float))
    for units in (sessions.values(), buyers.values()):
        for a, b in {pair for unit in units for pair in permutations(unit, 2)}:
            met, times = sum({a, b} <= unit for unit in units), sum(a in unit for unit in units)
            strengths[a][b] += round(met / (times + PRIOR_SESSIONS), 10)
    sessions_with = Counter(product for products in sessions.values() for product in products)
    return strengths, sessions_with, len(sessions)


def best(scores: dict[int, float], count: int = TOP) -> list[tuple[int, float]]:
    return sorted(scores.items(), key=lambda item: (-round(item[1], 9), item[0]))[:count]


def expected_similar(events: list[dict[str, Any]]) -> dict[int, list[tuple[int, float]]]:
    strengths, times, sessions = expected(events)
    pull = {product: PRIOR_SESSIONS / (times[product] + PRIOR_SESSIONS) for product in times}
    return {
        a: best({b: strength + pull[a] * times[b] / sessions for b, strength in others.items()}, NEIGHBOURS)
        for a, others in strengths.items()
    }


def expected_for_users(events: list[dict[str, Any]]) -> dict[int, list[tuple[int, float]]]:
    strengths, times, sessions = expected(events)
    similar = expected_similar(events)
    known = defaultdict(set)
    for event in events:
        known[event["user_id"]].add(event["product_id"])
    found = {}
    for user, products in known.items():
        pull = sum(PRIOR_SESSIONS / (times[product] + PRIOR_SESSIONS) for product in products)
        scores = {other: pull * times[other] / sessions for other in times.keys() - products}
        for product in products:
            for other, _ in similar.get(product, []):
                if other in scores:
                    scores[other] += strengths[product][other]
        found[user] = best(scores)
    return {user: others for user, others in found.items() if others}


def small_shop(event: MakeEvent) -> list[dict[str, Any]]:
    dice = random.Random(4)
    events = []
    for _ in range(600):
        user = dice.randrange(40)
        events.append(
            event(
                dice.uniform(0, 30),
                dice.choice(("view", "view", "cart", "purchase")),
                user_id=user,
                user_session=f"{user}-{dice.randrange(4)}",
                product_id=int(dice.paretovariate(0.9)) % 40,
            )
        )
    return events


def assert_equal(found: dict[int, list[tuple[int, float]]], wanted: dict[int, list[tuple[int, float]]]) -> None:
    assert found.keys() == wanted.keys()
    for key, others in wanted.items():
        assert [other for other, _ in found[key]] == [other for other, _ in others]
        assert [score for _, score in found[key]] == pytest.approx([score for _, score in others], abs=1e-7)


def test_recommendations_equal_a_plain_recomputation(event: MakeEvent, frame: MakeFrame) -> None:
    events = small_shop(event)
    assert len(expected(events)[1]) < 50, "all products are popular enough to be offered"
    for order in (events, events[::-1]):
        touched = Touches.collect(frame(order))
        assert_equal(similar(touched), expected_similar(events))
        assert_equal(for_users(touched), expected_for_users(events))


def test_matrices_are_made_block_by_block(event: MakeEvent, frame: MakeFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    touched = Touches.collect(frame(small_shop(event)))
    whole = similar(touched), for_users(touched)
    monkeypatch.setattr("spark_jobs.ml.affinity._BLOCK", 500)
    assert (similar(touched), for_users(touched)) == whole
    sizes = np.array([0, 300, 300, 0, 2000, 1, 0])
    assert [list(sizes[rows]) for rows in blocks(sizes)] == [[0, 300], [300, 0], [2000, 1, 0]]


def test_removing_from_the_cart_is_no_interest(event: MakeEvent, frame: MakeFrame) -> None:
    assert len(Touches.collect(frame([event(1, "remove_from_cart")])).users) == 0


def test_a_bot_contributes_no_more_than_a_busy_customer(event: MakeEvent, frame: MakeFrame) -> None:
    in_one_session = [event(1 + n / 10_000, user_id=1, product_id=n) for n in range(3_000)]
    in_many = [event(n / 100, user_id=2, user_session=f"s{n // 2}", product_id=n) for n in range(1, 2_000)]
    touched = Touches.collect(frame([*in_one_session, *in_many]))
    assert list(touched.user_ids) == [1, 2]
    kept = {user + 1: sorted(touched.product_ids[touched.products[touched.users == user]]) for user in (0, 1)}
    # The latest ones.
    assert kept[1] == list(range(MOST_PER_SESSION))
    assert kept[2] == list(range(1, MOST_PER_USER + 1))


def test_equal_scores_are_ranked_by_id(event: MakeEvent, frame: MakeFrame) -> None:
    found = similar(Touches.collect(frame(event(1, product_id=n) for n in range(15, 0, -1))))
    assert [other for other, _ in found[15]] == list(range(1, 15))
    assert [other for other, _ in found[1]] == list(range(2, 16))


def test_users_get_what_goes_with_their_latest_products_and_is_new_to_them(event: MakeEvent, frame: MakeFrame) -> None:
    together = [
        event(5, user_id=user, user_session=f"s{user}", product_id=product)
        for user, products in {1: (1, 2, 3), 2: (1, 2), 3: (1, 3, 4), 4: (9,)}.items()
        for product in products
    ]
    found = for_users(Touches.collect(frame(together)))
    assert {user: [other for other, _ in others] for user, others in found.items()} == {
        1: [4, 9],
        2: [3, 4, 9],
        3: [2, 9],
        # Nothing goes with 9: what is popular.
        4: [1, 2, 3, 4],
    }


def test_popular_products_are_those_of_most_users(event: MakeEvent, frame: MakeFrame) -> None:
    events = [event(1, user_id=user, product_id=product) for product in (5, 6, 7) for user in range(product % 3 + 1)]
    events += [event(1, user_id=0, user_session=f"s{n}", product_id=6) for n in range(9)]
    touched = Touches.collect(frame(events))
    found = table(popular_products(touched), touched.product_ids).to_pylist()
    assert [(row["rank"], row["other_id"], row["score"]) for row in found] == [(1, 5, 3), (2, 7, 2), (3, 6, 1)]


def test_hit_rates_are_of_users_who_found_something_new(event: MakeEvent, frame: MakeFrame) -> None:
    """Four tastes of six products each; what all look at is popular, and known to everybody."""
    before, after = [], []
    for user in range(24):
        taste = 100 * (1 + user % 4)
        touched = [(f"s{user}", taste + (user // 4 + step) % 6) for step in (0, 1, 2)]
        touched += [(f"popular-{user}", product) for product in (1, 2)]
        before += [event(3, user_id=user, user_session=name, product_id=product) for name, product in touched]
        # Something of their taste, something seen before, something nobody knows.
        after.append(event(0.5, user_id=user, product_id=taste + (user // 4 + 3) % 6))
        after.append(event(0.5, user_id=user, product_id=1))
    after += [event(0.5, user_id=99, product_id=100), event(0.5, user_id=0, product_id=999)]
    rates = hit_rates(Touches.collect(frame(before)), Touches.collect(frame(after)))
    assert rates["users_evaluated"] == 24
    assert rates["hit_rate_at_10"] == 1.0
    assert 0 < (rates["popularity_hit_rate_at_10"] or 0) < 1


def test_without_a_user_to_judge_by_there_is_no_rate(event: MakeEvent, frame: MakeFrame) -> None:
    known, seen_again = Touches.collect(frame([event(3)])), Touches.collect(frame([event(0.5)]))
    nothing = {"users_evaluated": 0, "hit_rate_at_10": None, "popularity_hit_rate_at_10": None}
    assert hit_rates(known, seen_again) == nothing
    assert hit_rates(known, Touches.collect(frame([event(0.5, user_id=8)]))) == nothing
    assert hit_rates(known, Touches.collect(frame([]))) == hit_rates(Touches.collect(frame([])), known) == nothing


def test_documents_hold_ranked_products(
    event: MakeEvent, frame: MakeFrame, as_of: datetime, spark: SparkSession
) -> None:
    touched = Touches.collect(frame([event(1, product_id=product) for product in (3, 1, 2)]))
    by_product = table(affinities(touched).similar, touched.product_ids, "product_id", touched.product_ids)
    documents = recommendation_documents(spark.createDataFrame(by_product), "product", "product_id", as_of).collect()
    (first,) = [row.asDict(recursive=True) for row in documents if row["product_id"] == 1]
    # Of one session both products are in one, and so of all sessions.
    score = pytest.approx(1.0)
    assert first == {
        "_id": "2019-11-01T00:00:00Z|product|1",
        "as_of": as_of.replace(tzinfo=None),
        "kind": "product",
        "product_id": 1,
        "recommendations": [
            {"rank": 1, "product_id": 2, "score": score},
            {"rank": 2, "product_id": 3, "score": score},
        ],
    }
    most = spark.createDataFrame(table(popular_products(touched), touched.product_ids))
    (popular,) = recommendation_documents(most, "popular", None, as_of).collect()
    assert popular["_id"] == "2019-11-01T00:00:00Z|popular|all"
    assert [entry["product_id"] for entry in popular["recommendations"]] == [1, 2, 3]


def test_one_product_alone_has_no_documents(
    event: MakeEvent, frame: MakeFrame, as_of: datetime, spark: SparkSession
) -> None:
    touched, nothing = Touches.collect(frame([event(1)])), Touches.collect(frame([]))
    for ranks, kind, key, ids in (
        (affinities(touched).similar, "product", "product_id", touched.product_ids),
        (user_recommendations(touched, affinities(touched)), "user", "user_id", touched.user_ids),
        (popular_products(nothing), "popular", None, None),
    ):
        ranked_products = spark.createDataFrame(table(ranks, touched.product_ids, key, ids))
        assert recommendation_documents(ranked_products, kind, key, as_of).count() == 0
