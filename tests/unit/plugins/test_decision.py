import pytest

from shopstream.streaming.decision import Action, Step, Wish, decide
from shopstream.streaming.health import Cure, Problem

RUN = Wish(running=True)
STOPPED = Wish(running=False)


def decided(action: Action, cures: list[Cure], *, alive: bool = True, by_hand: bool = False, wish: Wish = RUN) -> Step:
    problems = [Problem("kind", "message", cure) for cure in cures]
    return decide(action, by_hand=by_hand, wish=wish, alive=alive, problems=problems)


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
    assert decided(Action.STOP, [], by_hand=True, wish=STOPPED) is Step.STOP
    assert decided(Action.STOP, [Cure.LAUNCH], alive=False, by_hand=True, wish=STOPPED) is Step.NOTHING
