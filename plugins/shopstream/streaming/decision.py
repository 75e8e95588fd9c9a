"""What to do about the streaming application. Pure: an action, a wish and problems in, a step out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from shopstream.streaming.health import Cure, Problem


class Action(StrEnum):
    """What a run of the DAG was asked to do."""

    ENSURE = "ensure"
    RESTART = "restart"
    STOP = "stop"


class Step(StrEnum):
    """What is done."""

    NOTHING = "nothing"
    WAIT = "wait"
    LAUNCH = "launch"
    RELAUNCH = "relaunch"
    STOP = "stop"
    LEAVE_STOPPED = "leave_stopped"


@dataclass(frozen=True)
class Wish:
    """What a person last asked for; scheduled runs respect it.

    Attributes:
        running: False after a `stop`, until an `ensure` or `restart` by hand.
        since: When it was said.
        run_id: The run that said it.
    """

    running: bool
    since: datetime | None = None
    run_id: str = ""


def decide(action: Action, *, by_hand: bool, wish: Wish, alive: bool, problems: Sequence[Problem]) -> Step:
    """Choose the step.

    Args:
        action: What the run was asked to do.
        by_hand: Whether a person triggered the run; a scheduled run never overrides a person's `stop`.
        wish: What a person last asked for.
        alive: Whether a driver lives.
        problems: What `judge` found.
    """
    if action is Action.STOP:
        return Step.STOP if alive else Step.NOTHING
    if not wish.running and not by_hand:
        return Step.LEAVE_STOPPED
    if action is Action.RESTART:
        return Step.RELAUNCH if alive else Step.LAUNCH
    cures = {problem.cure for problem in problems}
    for cure, step in ((Cure.LAUNCH, Step.LAUNCH), (Cure.RELAUNCH, Step.RELAUNCH), (Cure.WAIT, Step.WAIT)):
        if cure in cures:
            return step
    return Step.NOTHING
