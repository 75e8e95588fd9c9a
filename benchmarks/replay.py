"""Measures how fast `replay_events` sends: events per second flat out, and what each process costs.

A broker of its own on the same machine; every run sends the same generated file into a new topic, and every event must
be in it. The exit status says whether everything was sent, not whether the target was reached. See docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks import backlog
from benchmarks.figures import table
from benchmarks.options import Parser, count, run
from benchmarks.processes import cpu_by_process
from benchmarks.servers import Servers, ending, servers
from embedded.errors import StackError
from embedded.progress import Progress
from spark_jobs.events.topic import open_topic

TARGET = 25_000
_JOB = "spark_jobs.jobs.replay_events"
_SAMPLE_SECONDS = 0.25
# What the job says last: its clock runs from the first record it hands over to Kafka's last answer.
_SENT = re.compile(r"(\d+) events sent in ([\d.]+) s, (\d+) events/s")


@dataclass(frozen=True)
class Replayed:
    """One run.

    Attributes:
        rate: Events per second, as the job logs it.
        seconds: From the start of the job's process to its end.
        cpu: CPU seconds by process: `replay`, its children as `replay, process N`, and `kafka`.
    """

    rate: int
    seconds: float
    cpu: dict[str, float]


def replay(running: Servers, file: Path, events: int, number: int) -> Replayed:
    """Send the file once, into a topic of its own.

    Raises:
        StackError: The job failed, or the topic does not hold every event.
    """
    topic = f"replay_{number}"
    running.create_topic(topic)
    kafka = running.children["kafka"].pid
    idle = cpu_by_process(kafka)[kafka]
    used: dict[int, float] = {}
    began = time.monotonic()
    with ending(running.start_job(_JOB, "--file", str(file), environ=running.environ("replay", topic))) as job:
        while job.alive:
            used |= cpu_by_process(job.pid)
            time.sleep(_SAMPLE_SECONDS)
        job.wait()
    seconds = time.monotonic() - began
    own = used.pop(job.pid, 0.0)
    # What Python itself starts to watch over processes does next to nothing.
    children = [one for _, one in sorted(used.items()) if one >= 1]
    cpu = {"replay": own, **{f"replay, process {place}": one for place, one in enumerate(children, start=2)}}
    said = _SENT.search(job.last_words())
    with open_topic(running.config("replay", topic)) as kept:
        arrived = sum(kept.offsets()[1].values())
    if not said or int(said[1]) != events or arrived != events:
        raise StackError(f"{events} events in the file, {arrived} in the topic: {job.last_words()}")
    return Replayed(int(said[3]), seconds, {**cpu, "kafka": cpu_by_process(kafka)[kafka] - idle})


def report(events: int, runs: list[Replayed]) -> str:
    """Return the report: rates with their target, and the CPU of the median run."""
    rates = [one.rate for one in runs]
    middle = sorted(runs, key=lambda one: one.rate)[(len(runs) - 1) // 2]
    outcome = "reached" if median(rates) >= TARGET else "missed"
    rows = [["CPU, median run", "seconds", "microseconds per event"]]
    for name, seconds in middle.cpu.items():
        rows.append([name, f"{seconds:.0f}", f"{1e6 * seconds / events:.0f}"])
    return "\n".join(
        [
            f"{os.cpu_count()} cores, {events:,} events, {len(runs)} runs: {', '.join(f'{rate:,}' for rate in rates)} "
            f"events/s; the job's whole process {median(one.seconds for one in runs):.1f} s",
            "",
            table(rows),
            "",
            f"median {median(rates):,.0f} events/s (target {TARGET:,}, {outcome})",
        ]
    )


def parser() -> Parser:
    """Return the command line."""
    options = Parser("benchmarks.replay", __doc__, events=400_000)
    options.add_argument("--runs", type=count, default=3, metavar="N", help="send it so often (default %(default)s)")
    options.add_argument("--days", type=count, default=30, metavar="D", help="days the events are spread over")
    return options


def measure(options: argparse.Namespace, running: Servers, progress: Progress) -> list[Replayed]:
    """Generate the events, then send them as often as wanted."""
    file = backlog.events_file(running, options.events, options.days, options.seed, progress)
    runs = []
    for number in range(1, options.runs + 1):
        runs.append(replay(running, file, options.events, number))
        progress.say(f"run {number}: {runs[-1].rate:,} events/s")
    return runs


def main() -> int:
    """Run the command; returns 0 when every run has sent every event."""
    options = parser().parse_args()
    with servers(options.store, options.keep) as running:
        print(f"\n{report(options.events, measure(options, running, Progress()))}")
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
