"""Visits and funnel do not depend on how events arrive, on restarts, or on crashes: any history, against the oracle."""

from __future__ import annotations

import copy
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from visit_stream import LATENESS, VisitStream

from spark_jobs.audit.compare import compare
from spark_jobs.audit.recompute import recompute

Document = dict[str, Any]

START = datetime(2019, 10, 1, tzinfo=UTC)
MINUTE = 60_000
VIEW = {
    "user_session": "s",
    "event_type": "view",
    "product_id": 1,
    "category_name": "toys",
    "brand": "acme",
    "price": 1.0,
}

# Milliseconds from one event to another. Most are those that matter: the gap that ends a visit, the edge of lateness,
# window edges; and multiples of five minutes, so that the events of different users meet.
OFFSETS = st.one_of(
    st.sampled_from([minutes * MINUTE for minutes in (-10, -5, 0, 5, 10, 20, 25, 30, 40)]),
    st.sampled_from([minutes * MINUTE for minutes in (0, 10, 30)]),
    st.sampled_from([-10 * MINUTE - 1, -1, 1, 15 * MINUTE - 1, 30 * MINUTE - 1, 30 * MINUTE + 1]),
    st.integers(-12 * MINUTE, 40 * MINUTE),
)
# Events in order of arrival. The time of each is relative to another one: its visitor's first or last, or the newest.
MOVES = st.lists(
    st.fixed_dictionaries(
        {
            "user_id": st.sampled_from([1, 2, 2, 1, 3]),
            "user_session": st.sampled_from(["s", "s", "s", "t"]),
            "anchor": st.sampled_from(["last", "last", "newest", "first"]),
            "offset": OFFSETS,
            "event_type": st.sampled_from(["view", "cart", "remove_from_cart", "purchase"]),
            "product_id": st.integers(1, 3),
            "category_name": st.sampled_from(["electronics", "toys"]),
            "brand": st.sampled_from(["acme", "unknown"]),
            "price": st.sampled_from([0.0, 0.1, 19.99, 500.0]),
        }
    ),
    min_size=1,
    max_size=20,
)
# What becomes of a micro-batch.
STEPS = st.lists(
    st.fixed_dictionaries(
        {
            "size": st.sampled_from([1, 1, 1, 2, 3, 6]),
            "forget": st.sampled_from([True, True, True, False]),
            "restart": st.booleans(),
            "twice": st.booleans(),
            "crash_after": st.sampled_from([None, None, 0, 1, 2, 3, 4, 6]),
        }
    ),
    min_size=20,
    max_size=20,
)


def events(moves: list[Document]) -> list[Document]:
    """Turn moves into events, in order of arrival."""
    times: dict[tuple[int, str], list[int]] = {}
    newest = 0
    made = []
    for number, move in enumerate(moves):
        own = times.setdefault((move["user_id"], move["user_session"]), [])
        anchors = {"first": min(own), "last": max(own), "newest": newest} if own else {"newest": newest}
        # A visitor's first event lies where others have theirs: at the beginning, or beside the newest.
        at = anchors[move["anchor"]] + move["offset"] if move["anchor"] in anchors else 0
        own.append(at)
        newest = max(newest, at)
        event = {name: value for name, value in move.items() if name not in ("anchor", "offset")}
        made.append({**event, "_id": f"e{number}", "event_timestamp": START + timedelta(milliseconds=at)})
    return made


def assert_equal_to_recomputation(stream: VisitStream) -> None:
    expected = recompute(stream.accepted)
    for stored, collection in ((stream.visits, "user_session_analytics"), (stream.funnel, "conversion_funnel")):
        differences = compare(stored.values(), expected[collection])
        assert not differences, f"{collection}: {differences.summary()}"


@settings(max_examples=400, deadline=None)
@given(moves=MOVES, steps=STEPS)
def test_after_every_batch_visits_and_funnel_equal_the_recomputation(
    moves: list[Document], steps: list[Document]
) -> None:
    stream, remaining = VisitStream(), events(moves)
    for step in steps:
        batch, remaining = remaining[: step["size"]], remaining[step["size"] :]
        if step["restart"]:
            stream.restart()
        if step["forget"]:
            stream.forget()
        if batch:
            stream.batch(batch, step["crash_after"], step["twice"])
            assert_equal_to_recomputation(stream)


@settings(max_examples=100, deadline=None)
@given(moves=MOVES)
def test_a_crash_after_any_single_write_leaves_no_trace(moves: list[Document]) -> None:
    stream = VisitStream()
    for event in events(moves):
        stream.forget()
        before = copy.deepcopy(stream)
        stream.batch([event])
        for writes in range(stream.writes + 1):
            crashed = copy.deepcopy(before)
            crashed.batch([event], crash_after=writes)
            assert crashed.visits == stream.visits
            assert crashed.funnel == stream.funnel


@settings(max_examples=100, deadline=None)
@given(moves=MOVES)
def test_only_sessions_that_may_still_change_are_kept(moves: list[Document]) -> None:
    stream = VisitStream()
    for event in events(moves):
        stream.batch([event])
        stream.forget()
        closed_before = stream.newest - LATENESS - timedelta(minutes=30)
        visits = recompute(stream.accepted)["user_session_analytics"].values()
        open_sessions = {one["user_session"] for one in visits if one["session_end"] >= closed_before}
        assert len(stream.open_visits) == len(open_sessions)


@pytest.mark.parametrize("restart", [False, True])
def test_an_id_stays_when_the_visit_it_collided_with_is_closed(restart: bool) -> None:
    stream = VisitStream()
    for number, (user_id, minutes) in enumerate([(1, 0), (2, 0), (2, 25), (2, 50), (2, 60)]):
        stream.forget()
        if restart:
            stream.restart()
        event = {"_id": f"e{number}", "event_timestamp": START + timedelta(minutes=minutes), "user_id": user_id}
        stream.batch([{**VIEW, **event}])
        assert_equal_to_recomputation(stream)
    assert set(stream.visits) == {"s|2019-10-01T00:00:00Z", "s|2019-10-01T00:00:00Z|2"}
