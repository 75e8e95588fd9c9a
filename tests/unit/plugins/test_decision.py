from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shopstream.streaming.decision import Action, Launches, Step, Wish, decide
from shopstream.streaming.health import Cure, Problem

RUN = Wish(running=True)
STOPPED = Wish(running=False)
NONE_YET = Launches()
NOW = datetime(2019, 10, 1, 12, tzinfo=UTC)


def decided(
    action: Action,
    cures: list[Cure],
    *,
    alive: bool = True,
    by_hand: bool = False,
    wish: Wish = RUN,
    launches: Launches = NONE_YET,
    kafka_answers: bool = True,
    accepts_loss: bool = False,
) -> Step:
    return decide(
        action,
        by_hand=by_hand,
        wish=wish,
        alive=alive,
        problems=[Problem("kind", "message", cure) for cure in cures],
        launches=launches,
        kafka_answers=kafka_answers,
        accepts_loss=accepts_loss,
        now=NOW,
    )


@pytest.mark.parametrize(
    ("cures", "alive", "step"),
    [
        ([], True, Step.NOTHING),
        ([Cure.NONE, Cure.NONE], True, Step.NOTHING),
        ([Cure.LAUNCH], False, Step.LAUNCH),
        ([Cure.WAIT], True, Step.WAIT),
        ([Cure.NONE, Cure.RELAUNCH], True, Step.RELAUNCH),
        ([Cure.WAIT, Cure.RELAUNCH], True, Step.RELAUNCH),
    ],
)
def test_ensure_follows_the_cure(cures: list[Cure], alive: bool, step: Step) -> None:
    assert decided(Action.ENSURE, cures, alive=alive) is step


@pytest.mark.parametrize("cures", [[], [Cure.LAUNCH], [Cure.RELAUNCH], [Cure.WAIT]])
def test_a_scheduled_run_respects_a_stop_by_hand(cures: list[Cure]) -> None:
    assert decided(Action.ENSURE, cures, alive=False, wish=STOPPED) is Step.LEAVE_STOPPED


def test_ensure_by_hand_overrides_an_earlier_stop() -> None:
    # The run has renewed the wish before it decides; a run by hand does not depend on that.
    assert decided(Action.ENSURE, [Cure.LAUNCH], alive=False, by_hand=True, wish=STOPPED) is Step.LAUNCH


def test_restart_and_stop() -> None:
    assert decided(Action.RESTART, [], by_hand=True) is Step.RELAUNCH
    assert decided(Action.RESTART, [Cure.LAUNCH], alive=False, by_hand=True) is Step.LAUNCH
    assert decided(Action.REBUILD, [], by_hand=True) is Step.RELAUNCH
    assert decided(Action.STOP, [], by_hand=True, wish=STOPPED) is Step.STOP
    assert decided(Action.STOP, [Cure.LAUNCH], alive=False, by_hand=True, wish=STOPPED) is Step.NOTHING


@pytest.mark.parametrize(
    ("in_a_row", "minutes_ago", "step"),
    [
        (2, 0, Step.LAUNCH),
        (3, 9, Step.BACK_OFF),
        (3, 10, Step.LAUNCH),
        (4, 19, Step.BACK_OFF),
        (4, 20, Step.LAUNCH),
        (5, 39, Step.BACK_OFF),
        (50, 59, Step.BACK_OFF),
        (50, 60, Step.LAUNCH),
    ],
)
def test_launches_that_do_not_last_are_spaced_out(in_a_row: int, minutes_ago: int, step: Step) -> None:
    launches = Launches(in_a_row, NOW - timedelta(minutes=minutes_ago))
    assert decided(Action.ENSURE, [Cure.LAUNCH], alive=False, launches=launches) is step
    assert decided(Action.ENSURE, [Cure.LAUNCH], alive=False, launches=launches, by_hand=True) is Step.LAUNCH
    assert decided(Action.ENSURE, [], launches=launches) is Step.NOTHING


@pytest.mark.parametrize(("cure", "alive"), [(Cure.LAUNCH, False), (Cure.RELAUNCH, True)])
def test_nothing_is_launched_while_kafka_does_not_answer(cure: Cure, alive: bool) -> None:
    for launches in (NONE_YET, Launches(5, NOW)):
        assert decided(Action.ENSURE, [cure], alive=alive, launches=launches, kafka_answers=False) is Step.AWAIT_KAFKA
    assert decided(Action.ENSURE, [cure], alive=alive, kafka_answers=False, by_hand=True) is Step(cure)
    assert decided(Action.ENSURE, [cure], alive=alive, kafka_answers=False, wish=STOPPED) is Step.LEAVE_STOPPED
    assert decided(Action.ENSURE, [Cure.WAIT], kafka_answers=False) is Step.WAIT


@pytest.mark.parametrize(
    ("cures", "alive", "step"),
    [
        ([Cure.LAUNCH], False, Step.LAUNCH),
        ([Cure.RELAUNCH], True, Step.RELAUNCH),
        # On a cluster: the operator sees to the next driver, which would refuse as the last one did.
        ([Cure.WAIT], True, Step.RELAUNCH),
        ([], True, Step.NOTHING),
        ([Cure.NONE], True, Step.NOTHING),
    ],
)
def test_an_accepted_loss_needs_a_driver_that_is_launched(cures: list[Cure], alive: bool, step: Step) -> None:
    assert decided(Action.ENSURE, cures, alive=alive, by_hand=True, accepts_loss=True) is step


AT_WORK = {"driver": "process 1", "batch_seconds": 0.1, "lag_events": 7}
IDLE = {"driver": "process 1", "batch_seconds": 0.0, "lag_events": 0}
BARREN = {"driver": "process 1", "batch_seconds": 0.0, "lag_events": 7}


def check(minutes_ago: int, words: str, figures: dict[str, Any]) -> dict[str, Any]:
    """Return a check, described by the action taken and the kinds of problems found."""
    action, *kinds = words.split()
    problems = [{"kind": kind, "message": "message"} for kind in kinds]
    moment = NOW - timedelta(minutes=minutes_ago)
    return {"action": action, "checked_at": moment, "problems": problems, "figures": figures}


def checks(*newest_first: str, figures: dict[str, Any] = AT_WORK) -> Iterator[dict[str, Any]]:
    """Yield checks five minutes apart."""
    for number, words in enumerate(newest_first):
        yield check(5 * number, words, figures)


@pytest.mark.parametrize(
    ("newest_first", "in_a_row", "last", "since"),
    [
        ([], 0, None, None),
        (["nothing", "launch"], 0, None, None),
        (["back_off", "launch", "wait", "relaunch", "nothing", "launch"], 2, 5, 15),
        (["launch", "leave_stopped", "launch"], 1, 0, 0),
        (["launch", "stop", "launch"], 1, 0, 0),
        (["launch absent", "await_kafka dead kafka", "launch dead kafka", "launch dead"], 2, 0, 15),
        (["await_kafka dead kafka"] * 9, 0, None, None),
        # An hour of checks between two launches.
        ([*["back_off"] * 23, "launch"] * 7, 7, 115, 5 * (24 * 7 - 1)),
    ],
)
def test_launches_in_a_row(newest_first: list[str], in_a_row: int, last: int | None, since: int | None) -> None:
    moments = (None if minutes is None else NOW - timedelta(minutes=minutes) for minutes in (last, since))
    assert Launches.of(checks(*newest_first)) == Launches(in_a_row, *moments)


@pytest.mark.parametrize(
    ("figures", "in_a_row"),
    [(AT_WORK, 1), (IDLE, 1), (BARREN, 2), ({"driver": "process 1"}, 2), ({"driver": "none"}, 1)],
)
def test_only_a_driver_at_work_ends_a_series(figures: dict[str, Any], in_a_row: int) -> None:
    assert Launches.of(checks("launch", "nothing", "launch", figures=figures)).in_a_row == in_a_row


def test_checks_are_read_no_further_than_needed() -> None:
    remaining = checks("launch", "nothing", "launch")
    Launches.of(remaining)
    assert [check["action"] for check in remaining] == ["launch"]
