"""Measures the streaming application: events per second against an upper bound and a naive design, and live latency.

Every part runs on servers of its own, in one go on one machine: a Kafka backlog of generated events is drained by each
design in turn, from its first micro-batch to the end of its last. The exit status says whether everything was drained,
not whether the targets were reached. See docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks import backlog, latency, naive, noop
from benchmarks.baselines import checkpoint
from benchmarks.drain import Drained, Query, await_drained
from benchmarks.figures import percentile, table
from benchmarks.laps import seconds_by_step
from benchmarks.options import Parser, count, run
from benchmarks.processes import Child, usage
from benchmarks.servers import Servers, ending, servers
from embedded.progress import Progress

NOOP, SHOPSTREAM, LIVE, NAIVE = "noop", "shopstream", "live", "naive"
PARTS = (NOOP, SHOPSTREAM, LIVE, NAIVE)
TOPIC = "customer_events"
NAIVE_TOPIC = "customer_events_naive"
MODULES = {NOOP: "benchmarks.noop", SHOPSTREAM: "spark_jobs.jobs.stream", NAIVE: "benchmarks.naive"}
QUERIES = {NOOP: (noop.QUERY,), SHOPSTREAM: ("stream",), NAIVE: naive.QUERIES}

NOOP_TARGET, NAIVE_TARGET, LATENCY_TARGET_SECONDS = 0.35, 4.0, 5.0
_LIVE_SHARE = 0.5
_SETTLE_SECONDS, _LIVE_SECONDS = 20.0, 60.0


@dataclass
class Results:
    """What has been measured so far."""

    drained: dict[str, Drained]
    steps: dict[str, float]
    live: latency.Latency | None = None


class Benchmark:
    """One run of the measurements.

    Args:
        options: The command line.
        running: Servers.
        progress: Told how it goes.
    """

    def __init__(self, options: argparse.Namespace, running: Servers, progress: Progress) -> None:
        self._options = options
        self._servers = running
        self._progress = progress
        self.results = Results({}, {})

    def run(self) -> None:
        """Prepare the backlog, then measure the wanted parts one after the other.

        Raises:
            StackError: A part failed, or did not drain the backlog in time.
        """
        options = self._options
        events = backlog.make(self._servers, options.events, options.days, options.seed, self._progress)
        backlog.produce(self._servers, events, TOPIC, 0, self._progress)
        if NOOP in options.parts:
            self._measure(NOOP, TOPIC, options.events)
        if SHOPSTREAM in options.parts:
            self._measure(SHOPSTREAM, TOPIC, options.events, events if LIVE in options.parts else None)
        if NAIVE in options.parts:
            few = min(options.naive_events, options.events)
            backlog.produce(self._servers, events, NAIVE_TOPIC, few, self._progress)
            self._measure(NAIVE, NAIVE_TOPIC, few)

    def _measure(self, name: str, topic: str, events: int, live_events: Path | None = None) -> None:
        """Drain a topic with one design; with `live_events`, measure the latency of the same process afterwards."""
        self._servers.forget()
        environ = self._servers.environ(name, topic)
        folder = Path(environ["SHOPSTREAM_DATA_DIR"])
        queries = [Query(checkpoint(folder, query)) for query in QUERIES[name]]
        with ending(self._servers.start_job(MODULES[name], environ=environ, log=name)) as driver:
            timeout, cpu = self._options.timeout, lambda: self._cpu(driver)
            drained = await_drained(name, queries, events, driver, timeout, self._progress, cpu)
            self.results.drained[name] = drained
            self._progress.say(f"{name}: {events:,} events in {drained.seconds:.1f} s, {drained.rate:,.0f} events/s")
            if name == SHOPSTREAM:
                self.results.steps = seconds_by_step(driver.log.read_text().splitlines())
            if live_events:
                rate = self._options.live_rate or _LIVE_SHARE * drained.rate
                seconds = (_SETTLE_SECONDS, _LIVE_SECONDS)
                config = self._servers.config(name, topic)
                self.results.live = latency.measure(
                    self._servers, config, live_events, rate, seconds, driver, self._progress
                )

    def _cpu(self, driver: Child) -> dict[str, float]:
        own = usage(driver.pid).cpu_seconds
        others = {name: sum(usage(child.pid).cpu_seconds.values()) for name, child in self._servers.children.items()}
        return {"driver JVM": own.get("java", 0.0), "driver Python": own.get("python", 0.0), **others}


def report(options: argparse.Namespace, store: str, results: Results) -> str:
    """Return the report: the machine, rates, ratios with their targets, steps, and latencies."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9
    lines = [
        f"{os.cpu_count()} cores, {memory:.0f} GB, document store {store}; {options.days} days of events, "
        f"{backlog.DIRTY:.0%} malformed, seed {options.seed}",
        "",
        _rates(results),
        *_ratios(results),
    ]
    if results.steps:
        whole = sum(results.steps.values())
        shares = ", ".join(f"{name} {seconds / whole:.0%}" for name, seconds in results.steps.items())
        lines.append(f"{SHOPSTREAM}, time inside micro-batches: {shares}")
    if results.live:
        lines += ["", _latencies(results.live)]
    return "\n".join(lines)


def _rates(results: Results) -> str:
    rows = [["", "events", "seconds", "events/s", "CPU s: driver JVM", "Python", "Kafka", "MongoDB"]]
    for name, one in results.drained.items():
        cpu = [f"{one.cpu_seconds.get(part, 0):.0f}" for part in ("driver JVM", "driver Python", "kafka", "mongodb")]
        rows.append([name, f"{one.events:,}", f"{one.seconds:.1f}", f"{one.rate:,.0f}", *cpu])
    return table(rows)


def _ratios(results: Results) -> list[str]:
    lines = []
    for other, target in ((NOOP, NOOP_TARGET), (NAIVE, NAIVE_TARGET)):
        if {SHOPSTREAM, other} <= results.drained.keys():
            ratio = results.drained[SHOPSTREAM].rate / results.drained[other].rate
            outcome = "reached" if ratio >= target else "missed"
            lines.append(f"{SHOPSTREAM} / {other}: {ratio:.2f} (target {target:g}, {outcome})")
    return lines


def _latencies(live: latency.Latency) -> str:
    rows = [[f"live, {live.rate:,.0f} events/s, seconds", "events", "p50", "p95", "p99", "max"]]
    for name, seconds in live.seconds.items():
        shares = [f"{percentile(seconds, share):.2f}" for share in (0.5, 0.95, 0.99, 1.0)]
        rows.append([f"visible in {name}", str(len(seconds)), *shares])
    outcome = "reached" if percentile(live.seconds["enriched_events"], 0.99) <= LATENCY_TARGET_SECONDS else "missed"
    return f"{table(rows)}\np99 of enriched_events: target {LATENCY_TARGET_SECONDS:g} s, {outcome}"


def parser() -> Parser:
    """Return the command line."""
    options = Parser("benchmarks.streaming", __doc__, events=500_000)
    add = options.add_argument
    add(
        "--naive-events",
        type=count,
        default=100_000,
        metavar="N",
        help="the naive design drains only the first N of them (default %(default)s)",
    )
    # The public data has 1.4 million events a day: so many share a window, and so few windows an event changes.
    add("--days", type=count, default=1, metavar="D", help="days the events are spread over (default %(default)s)")
    add("--parts", nargs="+", choices=PARTS, default=list(PARTS), help="measure only these; live needs shopstream")
    add("--live-rate", type=count, metavar="R", help="events/s of the live part (default: half of shopstream's rate)")
    add("--timeout", type=count, default=1800, metavar="T", help="seconds for each drain (default %(default)s)")
    return options


def main() -> int:
    """Run the command; returns 0 when everything wanted was measured."""
    options = parser().parse_args()
    with servers(options.store, options.keep) as running:
        benchmark = Benchmark(options, running, Progress())
        benchmark.run()
        print(f"\n{report(options, running.store, benchmark.results)}")
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
