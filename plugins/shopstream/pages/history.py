"""Results over time: runs, the matrix of collections and time, trends. Pure functions over result documents."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from shopstream.pages.results import Result

# From the best to the worst; see `spark_jobs.quality.outcome.Outcome.status`.
STATUSES = ("empty", "passed", "warning", "failed", "error")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Period:
    """Results of all collections that belong together: those of a run, or of a span of time.

    Attributes:
        run_id: The run; None for a span of time.
        start: When the first of them began, or the span, UTC.
        results: By collection. Of a span, the newest of the worst of each.
    """

    run_id: str | None
    start: datetime
    results: dict[str, Result] = field(default_factory=dict)

    @property
    def status(self) -> str:
        """The worst status of all."""
        return worst(result["status"] for result in self.results.values())

    @property
    def critical(self) -> int:
        """Critical findings."""
        return sum(result["critical"] for result in self.results.values())

    @property
    def warnings(self) -> int:
        """Warnings."""
        return sum(result["warnings"] for result in self.results.values())

    @property
    def evaluated(self) -> int:
        """Expectations evaluated."""
        return sum(result["evaluated"] for result in self.results.values())

    @property
    def pass_rate(self) -> float | None:
        """Percent of the evaluated expectations that hold; None where none was evaluated."""
        return pass_rate(self.results.values())

    @property
    def seconds(self) -> float:
        """How long the checks took, one after the other."""
        return sum(float(result["seconds"]) for result in self.results.values())


def by_run(results: Iterable[Result], limit: int) -> list[Period]:
    """Group results by run.

    Args:
        results: Oldest first.
        limit: Most runs to return.

    Returns:
        The newest runs, oldest first.
    """
    runs: dict[str, Period] = {}
    for result in results:
        run = runs.setdefault(result["run_id"], Period(result["run_id"], result["started_at"]))
        run.results[result["collection"]] = result
    return sorted(runs.values(), key=lambda run: run.start)[-limit:]


def by_span(results: Iterable[Result], width: timedelta, end: datetime, count: int) -> list[Period]:
    """Group results by spans of time, those without results included: a gap is something to see.

    Args:
        results: Oldest first.
        width: Length of a span; spans begin at multiples of it since 1970, UTC.
        end: A moment in the last span.
        count: Number of spans.

    Returns:
        The spans, oldest first.
    """
    last = end - (end - _EPOCH) % width
    spans = {start: Period(None, start) for start in (last - width * back for back in reversed(range(count)))}
    for result in results:
        start = result["started_at"] - (result["started_at"] - _EPOCH) % width
        if (span := spans.get(start)) is None:
            continue
        before = span.results.get(result["collection"])
        if before is None or _rank(result["status"]) >= _rank(before["status"]):
            span.results[result["collection"]] = result
    return list(spans.values())


def standing(periods: Iterable[Period]) -> list[Period]:
    """Complete each period by what earlier ones say about collections that it did not check.

    Some runs check a few collections only: without this, a trend would jump with what was checked. A period without any
    result stays as it is.
    """
    known: dict[str, Result] = {}
    completed = []
    for period in periods:
        known |= period.results
        completed.append(Period(period.run_id, period.start, dict(known)) if period.results else period)
    return completed


def latest(results: Iterable[Result]) -> dict[str, Result]:
    """Return the newest result of each collection; results come oldest first."""
    return {result["collection"]: result for result in results}


def ordered(found: Iterable[str], known: Sequence[str]) -> list[str]:
    """Sort collections as the checks go, others behind them by name."""
    places = {name: place for place, name in enumerate(known)}
    return sorted(set(found), key=lambda name: (places.get(name, len(places)), name))


def worst(statuses: Iterable[str]) -> str:
    """Return the worst status; `empty` where there is none."""
    return max(statuses, key=_rank, default="empty")


def pass_rate(results: Iterable[Result]) -> float | None:
    """Percent of the evaluated expectations that hold; None where none was evaluated."""
    results = list(results)
    evaluated = sum(result["evaluated"] for result in results)
    return 100 * sum(result["successful"] for result in results) / evaluated if evaluated else None


@dataclass(frozen=True)
class Verdict:
    """What one run said about one expectation.

    Attributes:
        result: The result of the collection in that run.
        failure: Its finding; None where the expectation held, or where the run evaluated nothing.
    """

    result: Result
    failure: Result | None

    @property
    def status(self) -> str:
        """`failed`, `warning`, `passed`; `empty` or `error` where nothing was evaluated."""
        if self.failure is not None:
            return "warning" if self.failure["severity"] == "warning" else "failed"
        return "passed" if self.result["evaluated"] else str(self.result["status"])

    @property
    def share(self) -> float | None:
        """Percent of the documents that offend: 0 where it held, None where a finding has no such figure."""
        if self.failure is None:
            return 0.0 if self.result["evaluated"] else None
        share = self.failure["figures"].get("unexpected_percent")
        return None if share is None else float(share)


def verdicts(results: Iterable[Result], expectation: str) -> list[Verdict]:
    """Return what each result of a collection says about an expectation.

    A result lists only what does not hold: an expectation that a run evaluated and did not list counts as held.
    """
    return [
        Verdict(result, next((one for one in result["failures"] if one["expectation"] == expectation), None))
        for result in results
    ]


@dataclass
class Offence:
    """An expectation that failed at least once.

    Attributes:
        expectation: Its key.
        severity: At the last failure.
        observed: At the last failure.
        times: Results that list it.
        last: The newest of those.
        open: Whether the newest result of all lists it.
    """

    expectation: str
    severity: str
    observed: str
    times: int
    last: Result
    open: bool


def offences(results: Sequence[Result]) -> list[Offence]:
    """Return the expectations that failed in any result of a collection, those that still fail first.

    Args:
        results: Oldest first, with their failures.
    """
    found: dict[str, Offence] = {}
    for result in results:
        for failure in result["failures"]:
            key = failure["expectation"]
            times = found[key].times + 1 if key in found else 1
            found[key] = Offence(key, failure["severity"], failure["observed"], times, result, result is results[-1])
    return sorted(found.values(), key=lambda one: (not one.open, one.severity != "critical", -one.times))


def values(periods: Iterable[Period], read: Callable[[Period], float | None]) -> list[tuple[datetime, float | None]]:
    """Return a figure of each period with its time, for a chart."""
    return [(period.start, read(period)) for period in periods]


def _rank(status: str) -> int:
    # A status that a newer job has introduced is shown as the worst, not hidden.
    return STATUSES.index(status) if status in STATUSES else len(STATUSES)
