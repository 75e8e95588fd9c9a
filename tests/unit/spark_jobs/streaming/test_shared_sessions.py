"""Sessions of very many users, as where a shop sends one session id for all: right, and bounded in work and memory."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import FrameType
from typing import Any

import pytest
from visit_stream import VisitStream, visit_cell

from spark_jobs.audit.compare import compare
from spark_jobs.audit.recompute import recompute
from spark_jobs.streaming import open_visits, visits
from spark_jobs.streaming.open_visits import OpenVisits
from spark_jobs.streaming.visits import VISIT_GAP

START = datetime(2019, 10, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def event(user_id: int, moment: datetime) -> dict[str, Any]:
    return {
        "_id": f"{user_id}|{moment.isoformat()}",
        "user_id": user_id,
        "user_session": "undefined",
        "event_timestamp": moment,
        "event_type": "view",
        "product_id": user_id,
        "category_name": "toys",
        "brand": "acme",
        "price": 1.0,
    }


def cells(user_ids: range, moment: datetime) -> list[dict[str, Any]]:
    return [visit_cell(("undefined", user_id, moment), [event(user_id, moment)]) for user_id in user_ids]


def instructions(work: Callable[[], object]) -> int:
    """Count what the interpreter does in the modules of visits."""
    count = 0

    def trace(frame: FrameType, what: str, _: Any) -> Any:
        nonlocal count
        if frame.f_code.co_filename not in (open_visits.__file__, visits.__file__):
            return None
        frame.f_trace_opcodes = True
        count += what == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


def test_work_grows_with_the_number_of_users_and_no_faster() -> None:
    def work(users: int) -> int:
        visits = OpenVisits()
        changed = cells(range(users), START) + cells(range(users, 2 * users), START + 2 * MINUTE)

        def apply_and_forget() -> None:
            visits.apply(changed)
            visits.forget(START + MINUTE + VISIT_GAP)

        return instructions(apply_and_forget)

    assert work(200) < 5 * work(50)


@pytest.mark.parametrize("restart", [False, True])
def test_visits_of_many_users_of_one_session_equal_the_recomputation(restart: bool) -> None:
    stream = VisitStream()
    for number in range(60):
        moment = START + number * 4 * MINUTE
        # Three begin at one instant, and one of them goes on for long after the others' visits are closed.
        users = [3 * number + 1, 3 * number + 2, 3 * number + 3, *(3 * back + 3 for back in range(0, number, 5))]
        stream.forget()
        if restart:
            stream.restart()
        stream.batch([event(user_id, moment) for user_id in users])
    expected = recompute(stream.accepted)["user_session_analytics"]
    assert len(expected) == 180
    differences = compare(stream.visits.values(), expected)
    assert not differences, differences.summary()


def test_what_is_remembered_of_a_session_that_never_closes_does_not_grow() -> None:
    stream = VisitStream()
    sizes = []
    for number in range(400):
        moment = START + number * 10 * MINUTE
        stream.batch([event(1000 + 2 * number + one, moment) for one in (0, 1)])
        stream.forget()
        sizes.append(len(pickle.dumps(stream.open_visits)))
    assert len(stream.open_visits) == 1
    assert max(sizes[20:]) - min(sizes[20:]) < 100, "ids and figures have a few digits more"
