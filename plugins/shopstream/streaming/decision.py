"""What to do about the streaming application. Pure: an action, a wish and problems in, a step out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from shopstream.streaming.health import Cure, Problem


class Action(StrEnum):
    """What a run of the DAG was asked to do."""

    ENSURE = "ensure"
    RESTART = "restart"
    STOP = "stop"
    REBUILD = "rebuild"


class Step(StrEnum):
    """What is done."""

    NOTHING = "nothing"
    WAIT = "wait"
    LAUNCH = "launch"
    RELAUNCH = "relaunch"
    STOP = "stop"
    LEAVE_STOPPED = "leave_stopped"
    BACK_OFF = "back_off"
    AWAIT_KAFKA = "await_kafka"


LAUNCHING = (Step.LAUNCH, Step.RELAUNCH)

# What is written of a check.
Check = Mapping[str, Any]

# Kind of the problem that Kafka does not answer, and what stands for a driver where there is none.
NO_KAFKA = "kafka"
NO_DRIVER = "none"

# After so many launches in a row without a healthy moment between, the next ones are spaced out.
LAUNCHES_AT_ONCE = 3
FIRST_PAUSE = timedelta(minutes=10)
LONGEST_PAUSE = timedelta(hours=1)


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


@dataclass(frozen=True)
class Launches:
    """What has been tried since the application was last found at work, or was stopped by a person.

    Attributes:
        in_a_row: How many launches there were.
        last: When the last of them was made.
        since: When the first check was made that found no driver at work.
    """

    in_a_row: int = 0
    last: datetime | None = None
    since: datetime | None = None

    @classmethod
    def of(cls, checks: Iterable[Check]) -> Launches:
        """Count the launches.

        Args:
            checks: What was written of each check (`action`, `checked_at`, `problems`, `figures`), newest first; read
                only as far as needed. Those made while Kafka did not answer say nothing of the application.
        """
        count, last, since = 0, None, None
        for check in checks:
            if is_settled(check):
                break
            if any(problem["kind"] == NO_KAFKA for problem in check["problems"]):
                continue
            since = check["checked_at"]
            if check["action"] in LAUNCHING:
                count, last = count + 1, last or since
        return cls(count, last, since)

    @property
    def pause_until(self) -> datetime | None:
        """When the next launch may be made; None where it may be at once.

        The pause doubles with every launch: 10, 20, 40, then 60 minutes.
        """
        if self.last is None or self.in_a_row < LAUNCHES_AT_ONCE:
            return None
        doublings = min(self.in_a_row - LAUNCHES_AT_ONCE, 10)
        pause: timedelta = min(FIRST_PAUSE * 2**doublings, LONGEST_PAUSE)
        return self.last + pause


def is_settled(check: Check) -> bool:
    """Tell whether a check found a driver at work, or none because a person wants none.

    One that merely runs is not at work yet: it may fail in its first micro-batch, as the one before did.
    """
    if check["action"] != Step.NOTHING:
        return check["action"] in (Step.STOP, Step.LEAVE_STOPPED)
    figures = check["figures"]
    return bool(figures["driver"] == NO_DRIVER or figures.get("batch_seconds") or figures.get("lag_events") == 0)


def decide(
    action: Action,
    *,
    by_hand: bool,
    wish: Wish,
    alive: bool,
    problems: Sequence[Problem],
    launches: Launches,
    kafka_answers: bool,
    accepts_loss: bool,
    now: datetime,
) -> Step:
    """Choose the step.

    Args:
        action: What the run was asked to do.
        by_hand: Whether a person triggered the run; a scheduled run never overrides a person's `stop`.
        wish: What a person last asked for.
        alive: Whether a driver lives.
        problems: What `judge` found.
        launches: What has been tried already. A person who asks for a launch gets it at once.
        kafka_answers: Whether Kafka does. A driver launched without it would fail; one that lives may outlast this.
        accepts_loss: Whether a person accepts that records are lost. A driver that has refused to start for them may be
            on its way again, and must not have looked for an acceptance already: it is replaced by one that finds it.
        now: The moment of the check.
    """
    if action is Action.STOP:
        return Step.STOP if alive else Step.NOTHING
    if not wish.running and not by_hand:
        return Step.LEAVE_STOPPED
    if action in (Action.RESTART, Action.REBUILD):
        return Step.RELAUNCH if alive else Step.LAUNCH
    step = _cure(problems)
    if step is Step.WAIT and accepts_loss:
        return Step.RELAUNCH
    if step not in LAUNCHING or by_hand:
        return step
    if not kafka_answers:
        return Step.AWAIT_KAFKA
    return Step.BACK_OFF if launches.pause_until and now < launches.pause_until else step


def _cure(problems: Sequence[Problem]) -> Step:
    cures = {problem.cure for problem in problems}
    for cure, step in ((Cure.LAUNCH, Step.LAUNCH), (Cure.RELAUNCH, Step.RELAUNCH), (Cure.WAIT, Step.WAIT)):
        if cure in cures:
            return step
    return Step.NOTHING
