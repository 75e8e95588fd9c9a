"""The lifecycle of the streaming application: find out, judge, decide, act, write down."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

from shopstream.config import Config
from shopstream.runtimes.base import CLOCKS_DIFFER, Driver, JobRuntimeError, StreamRuntime
from shopstream.streaming.decision import (
    LAUNCHING,
    NO_DRIVER,
    NO_KAFKA,
    Action,
    Launches,
    Step,
    Wish,
    decide,
    is_settled,
)
from shopstream.streaming.errors import LagError, StreamError
from shopstream.streaming.fingerprint import config_hash
from shopstream.streaming.health import Facts, Heartbeat, Lag, Problem, judge

log = logging.getLogger(__name__)

# How often a driver that starts or ends is looked at, and how often the log says so.
POLL_SECONDS = 1.0
REPORT_SECONDS = 10


class Store(Protocol):
    """What the lifecycle keeps in `stream_health`; see `HealthStore`."""

    def heartbeat(self) -> Heartbeat | None:
        """Return the newest heartbeat of any driver."""

    def wish(self) -> Wish:
        """Return what a person last asked for."""

    def write_wish(self, wish: Wish) -> None:
        """Remember what a person asks for."""

    def launches(self) -> Launches:
        """Return the launches since the application was last found at work."""

    def ask(self, request: str, run_id: str) -> None:
        """Leave a person's request for the driver."""

    def write_check(self, checked_at: datetime, check: Mapping[str, Any]) -> None:
        """Write one check."""


class LagMeter(Protocol):
    """Measures the distance between stream and topic; see `KafkaLag`."""

    def measure(self, positions: Mapping[int, int]) -> Lag:
        """Return the lag of a stream at these positions, or raise LagError."""

    def require_answer(self) -> None:
        """Raise LagError where Kafka does not answer."""


class Lifecycle:
    """One check of the application, and what follows from it."""

    def __init__(self, config: Config, store: Store, lag: LagMeter, runtime: StreamRuntime) -> None:
        self._limits = config.stream
        self._store = store
        self._lag = lag
        self._runtime = runtime
        self._wanted_hash = config_hash()

    def run(self, action: Action, *, by_hand: bool, run_id: str, accept_data_loss: bool = False) -> dict[str, Any]:
        """Check and act.

        Args:
            action: What the run was asked to do.
            by_hand: Whether a person triggered it.
            run_id: The run, for the record.
            accept_data_loss: Whether a driver that is launched may go on without records that expired unread. One that
                is starting is replaced; where one runs there is nothing to accept.

        Returns:
            The check as written to `stream_health`, dates as ISO text.

        Raises:
            StreamError: The application did not get where it should be.
            JobRuntimeError: A driver could not be started or ended.
        """
        now = datetime.now(UTC)
        driver, facts, kafka_error = self._find_out(now)
        problems = judge(facts, self._limits)
        figures = _figures(driver, facts)
        _report(figures, problems)
        known = self._store.wish()
        if by_hand and driver and _has_been_done(action, driver, known, run_id):
            log.info("An earlier try of this run has launched %s: there is no need to %s again", driver.name, action)
            action = Action.ENSURE
        wish = self._renew_wish(known, action, by_hand, run_id, now)
        launches = self._store.launches()
        step = decide(
            action,
            by_hand=by_hand,
            wish=wish,
            alive=driver is not None,
            problems=problems,
            launches=launches,
            kafka_answers=not kafka_error,
            accepts_loss=accept_data_loss,
            now=now,
        )
        # Only a driver that is launched now takes an acceptance up: one later would accept losses nobody knows of yet.
        accepts = accept_data_loss and step in LAUNCHING
        for request, wanted in (("rebuild", action is Action.REBUILD), ("accept_data_loss", accepts)):
            if wanted:
                self._store.ask(request, run_id)
        check: dict[str, Any] = {
            "healthy": not problems and not kafka_error,
            "problems": [{"kind": p.kind, "message": p.message} for p in problems],
            "figures": figures,
            "action": step.value,
            "run_id": run_id,
        }
        if kafka_error:
            check["problems"].append({"kind": NO_KAFKA, "message": kafka_error})
        try:
            if step is Step.BACK_OFF:
                raise self._crash_loop(launches, problems)
            check["outcome"] = self._act(step, driver, wish)
            if accept_data_loss and not accepts:
                check["outcome"] += (
                    " The acceptance of a data loss is not kept: it is for a driver that refuses to start."
                )
            if kafka_error and wish.running:
                raise StreamError(f"{kafka_error}. {check['outcome']}")
            if step in (Step.NOTHING, Step.WAIT) and not is_settled(check):
                self._require_work(launches, now)
        except (StreamError, JobRuntimeError) as error:
            check |= {"healthy": False, "outcome": str(error)}
            log.error("%s", error)
            raise
        finally:
            self._store.write_check(now, check)
        log.info("%s", check["outcome"])
        return {"checked_at": now.isoformat(), **check, "figures": {k: _plain(v) for k, v in figures.items()}}

    def _find_out(self, now: datetime) -> tuple[Driver | None, Facts, str | None]:
        heartbeat = self._store.heartbeat()
        driver = self._runtime.find(heartbeat)
        if driver and heartbeat and not driver.wrote(heartbeat):
            heartbeat = None  # an earlier driver's
        lag = error = None
        try:
            # A driver that has not committed a batch yet does not say where it is; that is no lag.
            if driver and heartbeat and heartbeat.end_offsets:
                lag = self._lag.measure(heartbeat.end_offsets)
            else:
                self._lag.require_answer()
        except LagError as failure:
            error = str(failure)
        return driver, Facts(now, driver.started_at if driver else None, heartbeat, self._wanted_hash, lag), error

    def _renew_wish(self, known: Wish, action: Action, by_hand: bool, run_id: str, now: datetime) -> Wish:
        """Remember what a person asks for; a scheduled run asks for nothing."""
        # A retry asks for nothing new.
        if not by_hand or known.run_id == run_id:
            return known
        wish = Wish(running=action is not Action.STOP, since=now, run_id=run_id)
        self._store.write_wish(wish)
        return wish

    def _act(self, step: Step, driver: Driver | None, wish: Wish) -> str:
        """Do the step; returns what came of it, for log and record."""
        if step is Step.LEAVE_STOPPED:
            return (
                f"Left as it is: stopped by hand in run {wish.run_id} at {wish.since:%Y-%m-%d %H:%M:%S} UTC. "
                "Trigger streaming_lifecycle with action `ensure` to start it again."
            )
        if step is Step.AWAIT_KAFKA:
            return "No driver is launched before it answers; the first run that finds it answering does that."
        ended = ""
        if driver and step in (Step.STOP, Step.RELAUNCH):
            log.info(
                "Ending the driver (%s): it may finish its micro-batch, at most %d s",
                driver.name,
                self._limits.stop_seconds,
            )
            ended = self._runtime.stop(driver, self._limits.stop_seconds) + ". "
        if step in LAUNCHING:
            driver = self._runtime.launch(self._wanted_hash)
            log.info("Launched the driver (%s); waiting until its heartbeat says running", driver.name)
            return ended + self._await_running(driver)
        if step is Step.WAIT and driver:
            return self._await_running(driver)
        return ended.strip() or "Nothing to do."

    def _crash_loop(self, launches: Launches, problems: Sequence[Problem]) -> StreamError:
        return self._failure(
            f"crash loop: {launches.in_a_row} launches in a row have not lasted; the next one is made after "
            f"{launches.pause_until:%H:%M:%S} UTC, or now by triggering streaming_lifecycle by hand. "
            f"{problems[0].message}"
        )

    def _require_work(self, launches: Launches, now: datetime) -> None:
        """Fail where drivers come up, but for long none has finished a micro-batch though there is something to read.

        On a cluster the operator restarts what fails, so that checks find such drivers running or starting.
        """
        # Time for two drivers: the first may have had a good reason, and been replaced by one that needs as long.
        patience = 2 * (self._limits.start_seconds + self._limits.first_batch_seconds)
        if launches.since is None or (now - launches.since).total_seconds() <= patience:
            return
        heartbeat = self._store.heartbeat()
        error = (heartbeat.error or heartbeat.previous_error) if heartbeat else None
        raise self._failure(
            f"crash loop: since {launches.since:%H:%M:%S} UTC no driver has finished a micro-batch. The last failure: "
            f"{error or 'the driver was gone without a word'}. Of the newest driver"
        )

    def _await_running(self, driver: Driver) -> str:
        """Wait for the heartbeat of a starting driver to say `running`."""
        reported = 0.0
        while True:
            heartbeat = self._store.heartbeat()
            age = (datetime.now(UTC) - driver.started_at).total_seconds()
            if heartbeat and driver.wrote(heartbeat):
                if heartbeat.state == "running":
                    return f"The driver ({driver.name}) runs, {age:.0f} s after its start."
                if heartbeat.state == "failed":
                    raise self._failure(f"the driver failed while starting: {heartbeat.error}")
            if age > self._limits.start_seconds:
                raise self._failure(f"the driver ({driver.name}) is not running {age:.0f} s after its start")
            if age - reported >= REPORT_SECONDS:
                log.info("Still starting, %.0f s of at most %d s", age, self._limits.start_seconds)
                reported = age
            if self._runtime.wait(driver, POLL_SECONDS):
                raise self._failure(f"the driver ({driver.name}) ended while starting")

    def _failure(self, text: str) -> StreamError:
        words = self._runtime.last_words()
        lines = "\n".join(words)
        return StreamError(f"{text}: {words[-1]}\nThe driver's last lines:\n{lines}")


def _figures(driver: Driver | None, facts: Facts) -> dict[str, Any]:
    """Return the figures of a check, for log and record."""
    figures: dict[str, Any] = {"driver": driver.name if driver else NO_DRIVER}
    if driver:
        figures["up_seconds"] = round((facts.now - driver.started_at).total_seconds())
    if heartbeat := facts.heartbeat:
        figures |= {
            "state": heartbeat.state,
            "heartbeat_age_seconds": round((facts.now - heartbeat.updated_at).total_seconds(), 1),
            "last_batch_id": heartbeat.last_batch_id,
            "last_batch_at": heartbeat.last_batch_at,
            "batch_seconds": heartbeat.batch_seconds,
            "trigger_seconds": heartbeat.trigger_seconds,
            **heartbeat.counters,
        }
    if facts.lag:
        figures |= {"lag_events": facts.lag.events, "lag_seconds": round(facts.lag.seconds, 1)}
    return figures


def _has_been_done(action: Action, driver: Driver, wish: Wish, run_id: str) -> bool:
    """Tell whether this is a retry, and the driver the one that an earlier try has launched as it was asked to."""
    asked = wish.since if action in (Action.RESTART, Action.REBUILD) and wish.run_id == run_id else None
    return asked is not None and driver.started_at >= asked - CLOCKS_DIFFER


def _report(figures: Mapping[str, Any], problems: Sequence[Problem]) -> None:
    log.info("Found: %s", ", ".join(f"{name} {_plain(value)}" for name, value in figures.items()))
    for problem in problems:
        log.warning("Unhealthy (%s): %s", problem.kind, problem.message)
    if not problems:
        log.info("Healthy")


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value
