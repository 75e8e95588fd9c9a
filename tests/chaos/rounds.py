"""One round: replay, kill, wait until the platform has healed itself and drained the topic, compare."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from kafka.errors import KafkaError
from pymongo.errors import PyMongoError

from spark_jobs.audit.compare import Differences, compare
from spark_jobs.audit.enrich import enrich
from spark_jobs.audit.recompute import recompute
from spark_jobs.audit.validate import read_record, validate
from tests.chaos import faults, topic
from tests.chaos.visitors import block_start, write_events
from tests.oracle import SKETCHED, records
from tests.stack import RunningStack

RATE = 300
HEAL_SECONDS = 900.0
_POLL_SECONDS = 1.0
_LATEST_KILL = 12.0
_LATEST_SECOND_KILL = 4.0
# What another fault has taken down at the moment of its own is killed as soon as it is back.
_FIND_SECONDS = 30.0
_FIND_INTERVAL = 0.2

# Where each collection keeps the time by which a block's documents are found.
_TIMES = {
    "enriched_events": "event_timestamp",
    "event_aggregations": "window_start",
    "user_session_analytics": "session_start",
    "conversion_funnel": "window_start",
}


@dataclass
class Verdict:
    """What a comparison found, in documents of all collections together."""

    expected: int = 0
    lost: int = 0
    doubled: int = 0
    different: int = 0
    details: list[str] = field(default_factory=list)

    def add(self, collection: str, differences: Differences) -> None:
        """Count the differences of one collection."""
        self.expected += differences.expected
        self.lost += len(differences.missing)
        self.doubled += len(differences.unexpected)
        self.different += differences.different_documents
        if differences:
            self.details.append(f"{collection}: {differences.summary()}")

    def __str__(self) -> str:
        return f"{self.expected} documents: {self.lost} lost, {self.doubled} doubled, {self.different} different"


class Chaos:
    """Rounds of faults on one running platform.

    Args:
        stack: The platform; its lifecycle DAG runs every minute.
        folder: For events files.
        seed: Decides events, targets and moments.
        events: Rows of each round's file.

    Attributes:
        missed: How many kills hit nothing.
    """

    def __init__(self, stack: RunningStack, folder: Path, seed: int, events: int) -> None:
        self._stack = stack
        self._folder = folder
        self._seed = seed
        self._events = events
        self._files: dict[int, Path] = {}
        self.missed = 0

    def run(self, number: int) -> tuple[str, Verdict]:
        """Run a round; returns its line and what the comparison found."""
        dice = random.Random(f"{self._seed}/faults/{number}")
        targets = faults.choose(dice)
        moments = [dice.uniform(0, _LATEST_KILL), dice.uniform(0, _LATEST_SECOND_KILL)]
        self._files[number] = self._folder / f"round-{number}.csv.gz"
        write_events(self._files[number], number, self._events, self._seed)
        before, begun, first = self._driver(), datetime.now(UTC), topic.ends(self._stack)
        run_id = self._stack.api.trigger("replay_events", {"file": str(self._files[number]), "rate": RATE})
        self._wait(lambda: self._sent_since(before) > 0, "the first records are in Kafka")
        kills = self._strike(targets, moments)
        struck = time.monotonic()
        self._wait(lambda: self._run_state(run_id) in ("success", "failed"), "the replay has ended")
        state = self._run_state(run_id)
        self._wait(self._drained, "the stream has healed and drained the topic")
        healed = time.monotonic() - struck
        after = self._driver()
        verdict = self._compare(number)
        self._compare_dead_letters([self._files[number]], first, verdict)
        if state != "success":
            verdict.lost += 1
            verdict.details.append(f"the replay ended as {state}")
        _check_books(after, verdict)
        line = (
            f"round {number + 1:3}: {kills:<29} healed in {healed:5.1f} s, "
            f"{self._relaunched(begun)}{after['late_events'] - before.get('late_events', 0)} late; {verdict}"
        )
        return line, verdict

    def compare_all(self) -> Verdict:
        """Compare everything that all rounds have left."""
        files = list(self._files.values())
        verdict = self._verdict(files, {})
        self._compare_dead_letters(files, {}, verdict)
        return verdict

    def _strike(self, targets: Sequence[str], moments: Sequence[float]) -> str:
        """Kill one target after the other; says which, and which were not there to be killed."""
        hit: list[str] = []
        missed: list[str] = []
        for target, delay in zip(targets, moments, strict=False):
            time.sleep(delay)  # the moment of the fault is the point of the exercise
            (hit if self._kill(target) else missed).append(target)
        self.missed += len(missed)
        return told(hit, missed)

    def _kill(self, target: str) -> bool:
        deadline = time.monotonic() + _FIND_SECONDS
        while not faults.kill(self._stack, target):
            if time.monotonic() > deadline:
                return False
            time.sleep(_FIND_INTERVAL)
        return True

    def _relaunched(self, since: datetime) -> str:
        """Say why the lifecycle DAG launched a driver, if it did."""
        condition = {"kind": "check", "checked_at": {"$gte": since}, "action": {"$in": ["launch", "relaunch"]}}
        checks = self._stack.db["stream_health"].find(condition).sort("checked_at", 1)
        return "".join(f"{one['action']} ({one['problems'][0]['message'][:200]}), " for one in checks)

    def _compare(self, number: int) -> Verdict:
        """Compare the block of a round; earlier blocks are days away."""
        first = block_start(number)
        files = [path for other, path in self._files.items() if block_start(other) == first]
        return self._verdict(files, {"$gte": first - timedelta(hours=1)})

    def _verdict(self, files: Iterable[Path], since: dict[str, datetime]) -> Verdict:
        db = self._stack.db
        events = [read_record(value) for path in files for value in records(path)]
        enriched = enrich([event for event in events if not validate(event)], {}, {})
        verdict = Verdict()
        for collection, documents in {"enriched_events": enriched, **recompute(enriched.values())}.items():
            stored = db[collection].find({_TIMES[collection]: since} if since else {})
            verdict.add(collection, compare(stored, documents, sketched=SKETCHED))
        return verdict

    def _compare_dead_letters(self, files: Iterable[Path], first: Mapping[str, int], verdict: Verdict) -> None:
        """Compare the dead letters of the records from the offsets `first` on, and these with the rows of the files."""
        expected = topic.dead_letters(topic.read(self._stack, first))
        stored = self._stack.db["dead_letter_events"].find()
        recent = [one for one in stored if one["kafka_offset"] >= first.get(str(one["kafka_partition"]), 0)]
        verdict.add("dead_letter_events", compare(recent, expected))
        refused = {value.decode() for path in files for value in records(path) if validate(read_record(value))}
        unsent = refused - {one["raw"] for one in expected.values()}
        if unsent:
            verdict.lost += len(unsent)
            verdict.details.append(f"{len(unsent)} rows that are to be refused are not in the topic")

    def _driver(self) -> dict[str, Any]:
        return self._stack.db["stream_health"].find_one({"_id": "driver"}) or {}

    def _run_state(self, run_id: str) -> str:
        return next((run["state"] for run in self._stack.api.runs("replay_events") if run["dag_run_id"] == run_id), "")

    def _sent_since(self, before: dict[str, Any]) -> int:
        read: dict[str, int] = before.get("end_offsets", {})
        return sum(topic.ends(self._stack).values()) - sum(read.values())

    def _drained(self) -> bool:
        driver = self._driver()
        return (
            driver.get("state") == "running"
            and driver.get("end_offsets") == topic.ends(self._stack)
            and driver.get("batch_started_at") is None
            and faults.is_alive(int(driver["pid"]))
        )

    def _wait(self, condition: Callable[[], bool], what: str) -> None:
        """Wait until the platform is there by itself; what is down meanwhile is part of the exercise."""
        deadline = time.monotonic() + HEAL_SECONDS
        while True:
            try:
                if condition():
                    return
                last: Exception | None = None
            except (PyMongoError, KafkaError, OSError) as error:
                last = error
            if time.monotonic() > deadline:
                raise TimeoutError(f"{what}: not after {HEAL_SECONDS:.0f} s ({last or 'everything answers'})")
            time.sleep(_POLL_SECONDS)


def told(hit: Sequence[str], missed: Sequence[str]) -> str:
    """Say what a round killed, and what it would have killed had it been there."""
    return f"killed {' + '.join(hit) or 'nothing'}" + (f" (found no {', no '.join(missed)})" if missed else "")


def _check_books(driver: dict[str, Any], verdict: Verdict) -> None:
    read = sum(driver["end_offsets"].values()) - sum(driver["start_offsets"].values())
    counted = driver["accepted"] + driver["dead_lettered"] + driver["lost_records"]
    if read != counted:
        verdict.different += 1
        verdict.details.append(f"{read} records read, {counted} accounted for")
