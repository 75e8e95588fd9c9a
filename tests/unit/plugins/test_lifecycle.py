"""The lifecycle with real processes (`driver_stand_in.py`); `stream_stand_ins.py` stands in for MongoDB and Kafka."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
from stream_stand_ins import FileStore, FixedLag

from shopstream.config import Config
from shopstream.runtimes.local_stream import LocalStreamRuntime
from shopstream.streaming import lifecycle as lifecycle_module
from shopstream.streaming.decision import Action
from shopstream.streaming.errors import StreamError
from shopstream.streaming.health import Heartbeat, Lag
from shopstream.streaming.lifecycle import Lifecycle

STAND_IN = Path(__file__).with_name("driver_stand_in.py")


class Stream:
    """The platform as a run of `streaming_lifecycle` sees it; every call is a run of its own."""

    def __init__(self, config: Config, folder: Path) -> None:
        self.config = replace(config, stream=replace(config.stream, start_seconds=30, stop_seconds=30))
        self.folder = folder
        self.store = FileStore(folder)
        self.lag = FixedLag(Lag(0, 0.0))

    def behave(self, words: str) -> None:
        (self.folder / "behaviour").write_text(words)

    def run(
        self, action: Action = Action.ENSURE, by_hand: bool = False, run_id: str = "", accept_data_loss: bool = False
    ) -> dict[str, Any]:
        """Run it, as a run of its own or as another try of one."""
        kind = "by-hand" if by_hand else "scheduled"
        lifecycle = Lifecycle(self.config, self.store, self.lag, LocalStreamRuntime(self.config))
        run_id = run_id or f"{kind}-{len(self.store.checks)}"
        return lifecycle.run(action, by_hand=by_hand, run_id=run_id, accept_data_loss=accept_data_loss)

    @property
    def pid(self) -> int | None:
        driver = LocalStreamRuntime(self.config).find(None)
        return driver.pid if driver else None

    def limit(self, **limits: int) -> None:
        self.config = replace(self.config, stream=replace(self.config.stream, **limits))


@pytest.fixture
def stream(tmp_path: Path, spark_python: Callable[[str], Config], environment: pytest.MonkeyPatch) -> Iterator[Stream]:
    environment.setenv("STAND_IN_FOLDER", str(tmp_path))
    environment.setattr(lifecycle_module, "POLL_SECONDS", 0.05)
    stream = Stream(spark_python(f'#!/bin/sh\nexec {sys.executable} {STAND_IN} "$@"\n'), tmp_path)
    yield stream
    if pid := stream.pid:
        psutil.Process(pid).kill()


def kinds(check: dict[str, Any]) -> list[str]:
    return [problem["kind"] for problem in check["problems"]]


def kill(pid: int | None) -> None:
    assert pid
    process = psutil.Process(pid)
    os.kill(pid, signal.SIGKILL)
    psutil.wait_procs([process], timeout=30)


def test_an_absent_driver_is_launched_and_then_left_alone(stream: Stream) -> None:
    first = stream.run()
    assert (first["action"], kinds(first), first["healthy"]) == ("launch", ["absent"], False)
    assert "runs" in first["outcome"]
    pid = stream.pid
    second = stream.run()
    assert (second["action"], second["problems"], second["healthy"]) == ("nothing", [], True)
    assert second["figures"]["state"] == "running"
    assert stream.pid == pid
    assert [check["action"] for check in stream.store.checks] == ["launch", "nothing"]
    assert stream.store.checks[0]["run_id"] == "scheduled-0"


def test_a_killed_driver_is_relaunched(stream: Stream) -> None:
    stream.run()
    old = stream.pid
    kill(old)
    check = stream.run()
    assert (check["action"], kinds(check)) == ("launch", ["dead"])
    assert stream.pid not in (None, old)


def test_a_stalled_driver_is_relaunched(stream: Stream) -> None:
    stream.run()
    old = stream.pid
    assert old
    process = psutil.Process(old)
    process.suspend()  # no heartbeat any more, and deaf to SIGTERM: only SIGKILL helps
    stream.limit(stall_triggers=0, stop_seconds=1)
    check = stream.run()
    assert (check["action"], kinds(check)) == ("relaunch", ["heartbeat"])
    assert "was killed" in check["outcome"]
    assert stream.pid not in (None, old)
    assert not process.is_running()


def test_an_outdated_driver_finishes_and_is_relaunched(stream: Stream, environment: pytest.MonkeyPatch) -> None:
    stream.run()
    old = stream.pid
    environment.setenv("SHOPSTREAM_TRIGGER_SECONDS", "5")
    check = stream.run()
    assert (check["action"], kinds(check)) == ("relaunch", ["outdated"])
    assert "finished its work" in check["outcome"]
    assert stream.pid not in (None, old)
    assert stream.run()["healthy"]


def test_a_driver_that_catches_up_is_left_alone(stream: Stream) -> None:
    stream.run()
    pid = stream.pid
    behind(stream, {0: 5}, Lag(10_000_000, 90_000.0))
    check = stream.run()
    assert (check["action"], kinds(check), check["healthy"]) == ("nothing", ["lag", "lag"], False)
    assert check["figures"]["lag_events"] == 10_000_000
    assert stream.pid == pid


def behind(stream: Stream, offsets: dict[int, int], lag: Lag | None) -> None:
    """Let the heartbeat state a position and a batch that has just ended, and the topic be ahead of it."""
    beat = stream.store.heartbeat()
    assert beat
    stream.lag = FixedLag(lag)
    let_say(stream, end_offsets=offsets, last_batch_id=1, last_batch_at=beat.updated_at)


def let_say(stream: Stream, **fields: Any) -> None:
    """Let every heartbeat say these things besides."""
    read = stream.store.heartbeat

    def heartbeat() -> Heartbeat | None:
        beat = read()
        return replace(beat, **fields) if beat else None

    stream.store.heartbeat = heartbeat  # type: ignore[method-assign]


def test_kafka_that_does_not_answer_fails_the_run_but_not_the_driver(stream: Stream) -> None:
    stream.run()
    pid = stream.pid
    behind(stream, {0: 5}, None)
    with pytest.raises(StreamError, match="Kafka at"):
        stream.run()
    assert stream.pid == pid
    assert stream.store.checks[-1]["problems"] == [
        {"kind": "kafka", "message": "Kafka at 127.0.0.1:1: KafkaConnectionError"}
    ]
    assert stream.run(Action.STOP, by_hand=True)["action"] == "stop"


def test_an_outage_of_kafka_costs_no_launch_and_no_pause(stream: Stream) -> None:
    stream.run()
    kill(stream.pid)
    stream.lag = FixedLag(None)
    for _ in range(5):
        with pytest.raises(StreamError, match=r"Kafka at .*No driver is launched before it answers"):
            stream.run()
        assert stream.store.checks[-1]["action"] == "await_kafka"
        assert [problem["kind"] for problem in stream.store.checks[-1]["problems"]] == ["dead", "kafka"]
    assert stream.pid is None
    stream.lag = FixedLag(Lag(0, 0.0))
    assert stream.run()["action"] == "launch"


def test_launches_by_hand_while_kafka_does_not_answer_make_nobody_wait_afterwards(stream: Stream) -> None:
    stream.lag = FixedLag(None)
    stream.behave("die")
    for _ in range(4):
        with pytest.raises(StreamError, match="ended while starting"):
            stream.run(by_hand=True)
    stream.behave("")
    stream.lag = FixedLag(Lag(0, 0.0))
    assert stream.run()["action"] == "launch"


def test_a_stopped_stream_needs_no_kafka(stream: Stream) -> None:
    stream.lag = FixedLag(None)
    assert stream.run(Action.STOP, by_hand=True)["action"] == "nothing"
    assert stream.run()["action"] == "leave_stopped"


def test_a_stop_by_hand_lasts_until_somebody_ensures_by_hand(stream: Stream, caplog: pytest.LogCaptureFixture) -> None:
    stream.run()
    check = stream.run(Action.STOP, by_hand=True)
    assert check["action"] == "stop"
    assert stream.pid is None
    for _ in range(2):
        caplog.clear()
        with caplog.at_level("INFO"):
            assert stream.run()["action"] == "leave_stopped"
        assert "stopped by hand in run by-hand-" in caplog.text
        assert stream.pid is None
    assert stream.run(Action.STOP, by_hand=True)["action"] == "nothing"
    assert stream.run(by_hand=True)["action"] == "launch"
    kill(stream.pid)
    assert stream.run()["action"] == "launch"


def test_restart(stream: Stream) -> None:
    assert stream.run(Action.RESTART, by_hand=True)["action"] == "launch"
    old = stream.pid
    check = stream.run(Action.RESTART, by_hand=True)
    assert (check["action"], check["healthy"]) == ("relaunch", True)
    assert stream.pid not in (None, old)


@pytest.mark.parametrize(
    ("behaviour", "message"),
    [
        ("refuse", r"ended while starting: error: SHOPSTREAM_TRIGGER_SECONDS.*\nThe driver's last lines:\nstand-in"),
        ("die", r"ended while starting: stand-in .*\nThe driver's last lines:\nstand-in"),
        ("fail", r"(failed while starting: the topic is gone|ended while starting): stand-in"),
    ],
)
def test_a_driver_that_does_not_come_up_fails_the_run_with_its_last_words(
    stream: Stream, behaviour: str, message: str
) -> None:
    stream.behave(behaviour)
    with pytest.raises(StreamError, match=message):
        stream.run()
    assert "last lines" in stream.store.checks[-1]["outcome"]
    stream.behave("")
    # A driver that has said that it failed may take a moment to end.
    assert stream.run()["action"] in ("launch", "relaunch")
    assert stream.run()["healthy"]


def test_a_crash_loop_is_spaced_out_and_fails_loudly_with_the_last_words(stream: Stream) -> None:
    stream.behave("refuse")
    for _ in range(3):
        with pytest.raises(StreamError, match="ended while starting"):
            stream.run()
    for _ in range(2):
        with pytest.raises(StreamError, match=r"crash loop: 3 launches in a row.*\n.*\n.*\n.*TRIGGER_SECONDS"):
            stream.run()
    assert [check["action"] for check in stream.store.checks] == ["launch"] * 3 + ["back_off"] * 2
    stream.behave("")
    assert stream.run(by_hand=True)["action"] == "launch"
    assert stream.run()["healthy"]


def look_back(stream: Stream, *actions: str) -> None:
    """Let checks have taken these actions, oldest first, five minutes apart up to now."""
    for number, action in enumerate(reversed(actions)):
        document = {"action": action, "problems": [], "figures": {"driver": "pod shop/driver"}}
        stream.store.write_check(datetime.now(UTC) - timedelta(minutes=5 * (number + 1)), document)
    stream.store.checks.reverse()


@pytest.mark.parametrize("error", ["the cause of it all", None])
def test_drivers_that_start_but_finish_no_batch_fail_the_run_in_the_end(stream: Stream, error: str | None) -> None:
    """On a cluster the operator restarts them: hardly any check finds nothing but a dead driver."""
    stream.behave("barren")
    stream.run()
    behind(stream, {0: 5}, Lag(7, 1.0))
    let_say(stream, previous_error=error)
    stream.limit(start_seconds=30, first_batch_seconds=450)  # 16 minutes for two drivers
    stream.store.checks.clear()
    look_back(stream, "wait", "nothing", "wait")
    assert stream.run()["action"] == "nothing"
    stream.store.checks.clear()
    look_back(stream, "wait", "nothing", "wait", "nothing")
    said = error or "the driver was gone without a word"
    with pytest.raises(StreamError, match=rf"crash loop: since .* no driver .*: {said}\. .*\nThe driver's last lines:"):
        stream.run()
    assert (stream.store.checks[-1]["action"], stream.store.checks[-1]["healthy"]) == ("nothing", False)
    # One batch, or nothing to read, and all is well.
    let_say(stream, batch_seconds=0.1)
    assert stream.run()["healthy"]
    let_say(stream, batch_seconds=0.0)
    stream.lag = FixedLag(Lag(0))
    assert stream.run()["healthy"]


def test_a_driver_that_hangs_in_its_first_batch_again_and_again_is_a_crash_loop(stream: Stream) -> None:
    stream.behave("barren")
    stream.run()
    stream.store.checks.clear()
    look_back(stream, *("relaunch", "nothing") * 4)
    kill(stream.pid)
    with pytest.raises(StreamError, match="crash loop: 4 launches in a row"):
        stream.run()


def test_requests_of_a_person_are_left_for_the_driver(stream: Stream) -> None:
    stream.run()
    assert stream.store.requests == {}
    assert stream.run(Action.REBUILD, by_hand=True, run_id="asking")["action"] == "relaunch"
    assert stream.store.requests == {"rebuild": "asking"}


def test_an_accepted_loss_is_left_for_a_driver_that_is_launched(stream: Stream) -> None:
    assert stream.run(by_hand=True, run_id="accepting", accept_data_loss=True)["action"] == "launch"
    assert stream.store.requests == {"accept_data_loss": "accepting"}


def test_an_accepted_loss_replaces_a_driver_that_is_on_its_way(stream: Stream) -> None:
    stream.behave("slow")
    runtime = LocalStreamRuntime(stream.config)
    waiting = runtime.launch(Lifecycle(stream.config, stream.store, stream.lag, runtime)._wanted_hash)
    stream.behave("")
    assert stream.run(by_hand=True, run_id="accepting", accept_data_loss=True)["action"] == "relaunch"
    assert stream.store.requests == {"accept_data_loss": "accepting"}
    assert stream.pid not in (None, waiting.pid)


@pytest.mark.parametrize(("action", "step"), [(Action.ENSURE, "nothing"), (Action.STOP, "stop")])
def test_where_a_driver_runs_there_is_no_loss_to_accept(stream: Stream, action: Action, step: str) -> None:
    stream.run()
    check = stream.run(action, by_hand=True, accept_data_loss=True)
    assert check["action"] == step
    assert "acceptance of a data loss is not kept" in check["outcome"]
    assert stream.store.requests == {}


@pytest.mark.parametrize("action", [Action.RESTART, Action.REBUILD])
def test_a_retry_does_not_undo_what_the_first_try_has_done(stream: Stream, action: Action) -> None:
    stream.run()
    old = stream.pid
    behind(stream, {0: 5}, None)
    with pytest.raises(StreamError, match="Kafka at"):
        stream.run(action, by_hand=True, run_id="a")
    new = stream.pid
    assert new not in (None, old)
    stream.lag = FixedLag(Lag(0, 0.0))
    stream.store.requests.clear()
    assert stream.run(action, by_hand=True, run_id="a")["action"] == "nothing"
    assert (stream.pid, stream.store.requests) == (new, {})
    assert stream.run(action, by_hand=True, run_id="b")["action"] == "relaunch"


def test_a_driver_that_starts_slowly_is_waited_for_and_then_replaced(stream: Stream) -> None:
    stream.behave("slow")
    stream.limit(start_seconds=1)
    with pytest.raises(StreamError, match="is not running"):
        stream.run()
    slow = stream.pid
    assert slow
    stream.behave("")
    # The limit is the same for the new driver, which a busy machine may not keep: what matters is the step.
    with suppress(StreamError):
        stream.run()
    check = stream.store.checks[-1]
    assert (check["action"], [problem["kind"] for problem in check["problems"]]) == ("relaunch", ["not_started"])
    assert stream.pid not in (None, slow)


def test_a_run_finds_a_driver_that_another_run_has_just_launched(stream: Stream) -> None:
    stream.behave("slow")
    runtime = LocalStreamRuntime(stream.config)
    driver = runtime.launch(Lifecycle(stream.config, stream.store, stream.lag, runtime)._wanted_hash)
    stream.limit(start_seconds=2)
    with pytest.raises(StreamError, match="is not running"):
        stream.run()
    assert (stream.store.checks[-1]["action"], stream.pid) == ("wait", driver.pid)


def test_never_two_drivers(stream: Stream) -> None:
    """Without record and heartbeat a second one is launched, but the lease keeps it from running."""
    stream.run()
    pid = stream.pid
    assert pid
    record = stream.config.data_dir / "stream" / "driver.json"
    text = record.read_text()
    record.unlink()
    (stream.folder / "heartbeat.json").unlink()
    with pytest.raises(StreamError, match="another streaming driver is running here"):
        stream.run()
    assert psutil.pid_exists(pid)
    record.write_text(text)
