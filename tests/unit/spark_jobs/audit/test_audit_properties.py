"""What holds for any events: nothing is lost, nothing counted twice, and their order does not matter."""

from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from spark_jobs.audit.compare import compare
from spark_jobs.audit.recompute import recompute

Document = dict[str, Any]
MakeEvent = Callable[..., Document]
Records = list[dict[str, Any]]

# Few users, sessions and names, and instants that often fall on edges: most examples then have collisions of some kind.
INSTANTS = st.one_of(
    st.integers(0, 36).map(lambda fives: fives * 300_000),
    st.integers(0, 3 * 60 * 60 * 1000),
)
RECORDS = st.lists(
    st.fixed_dictionaries(
        {
            "milliseconds": INSTANTS,
            "event_type": st.sampled_from(["view", "cart", "remove_from_cart", "purchase"]),
            "product_id": st.integers(1, 3),
            "category_name": st.sampled_from(["electronics", "toys", "unknown"]),
            "brand": st.sampled_from(["acme", "a|b", "unknown"]),
            "price": st.floats(0, 3000),
            "user_id": st.integers(1, 3),
            "user_session": st.sampled_from(["s", "t"]),
        }
    ),
    max_size=25,
)


def build(make_event: MakeEvent, records: Records) -> list[Document]:
    return [
        make_event(record["milliseconds"] / 60_000)
        | {name: value for name, value in record.items() if name != "milliseconds"}
        | {"event_timestamp": make_event()["event_timestamp"] + timedelta(milliseconds=record["milliseconds"])}
        for record in records
    ]


def of_kind(result: dict[str, dict[str, Document]], kind: str) -> list[Document]:
    return [document for document in result["event_aggregations"].values() if document["kind"] == kind]


@given(records=RECORDS)
def test_every_event_is_counted_as_often_as_its_windows(make_event: MakeEvent, records: Records) -> None:
    result = recompute(build(make_event, records))
    assert sum(document["event_count"] for document in of_kind(result, "category_5m")) == len(records)
    assert sum(document["event_count"] for document in of_kind(result, "brand_10m")) == 2 * len(records)
    types = Counter(record["event_type"] for record in records)
    for event_type in ("view", "cart", "purchase"):
        hourly = sum(document[f"{event_type}_count"] for document in of_kind(result, "category_1h"))
        in_visits = sum(document[f"{event_type}_count"] for document in result["user_session_analytics"].values())
        assert hourly == in_visits == types[event_type]


@given(records=RECORDS)
def test_every_event_is_in_exactly_one_visit_and_every_visit_in_one_funnel_window(
    make_event: MakeEvent, records: Records
) -> None:
    result = recompute(build(make_event, records))
    sessions = result["user_session_analytics"].values()
    assert sum(document["total_events"] for document in sessions) == len(records)
    assert sum(window["total_sessions"] for window in result["conversion_funnel"].values()) == len(sessions)


@given(records=RECORDS)
def test_there_is_one_visit_more_per_owner_than_long_gaps(make_event: MakeEvent, records: Records) -> None:
    instants = defaultdict(list)
    for record in records:
        instants[record["user_id"], record["user_session"]].append(record["milliseconds"])
    expected = 0
    for owned in map(sorted, instants.values()):
        expected += 1 + sum(later - earlier > 1_800_000 for earlier, later in pairwise(owned))
    assert len(recompute(build(make_event, records))["user_session_analytics"]) == expected


@given(records=RECORDS)
def test_figures_keep_their_order(make_event: MakeEvent, records: Records) -> None:
    for document in of_kind(recompute(build(make_event, records)), "category_5m"):
        assert document["min_price"] - 1e-9 <= document["avg_price"] <= document["max_price"] + 1e-9
        assert 1 <= document["unique_users"] <= document["event_count"]
        assert (document["price_stddev"] is None) == (document["event_count"] == 1)


@given(data=st.data(), records=RECORDS)
def test_the_order_of_events_does_not_matter(make_event: MakeEvent, data: st.DataObject, records: Records) -> None:
    events = build(make_event, records)
    assert recompute(data.draw(st.permutations(events))) == recompute(events)


@given(records=RECORDS)
def test_a_recomputation_equals_itself(make_event: MakeEvent, records: Records) -> None:
    for documents in recompute(build(make_event, records)).values():
        assert not compare(documents.values(), documents)
