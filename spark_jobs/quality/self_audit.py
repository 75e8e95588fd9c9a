"""The platform audits itself: recent events are counted again, independently, and compared with what the stream stored.

The sample is a stretch of event time that ends at the stream's watermark, so that nothing in it changes any more: its
windows are closed, its visits have ended. Its events are read from `enriched_events`, the collections recomputed by
`spark_jobs.audit`, which shares no code with the stream, and compared document by document.

* Windows lie wholly inside the sample.
* Visits begin more than half an hour after its beginning (earlier ones may have begun outside) and end more than half
  an hour before its end (later ones may go on).
* Windows of the funnel are those all of whose visits are such.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from pymongo.database import Database

from spark_jobs.audit.compare import Differences, compare
from spark_jobs.audit.recompute import recompute
from spark_jobs.audit.visits import FUNNEL_WINDOW
from spark_jobs.mongo import Document, indexed
from spark_jobs.quality.outcome import OFFENDERS, Finding, Severity

# Collections, and fields the stream estimates.
AUDITED = ("event_aggregations", "user_session_analytics", "conversion_funnel")
SKETCHED = ("unique_users", "unique_sessions")
LONGEST = timedelta(hours=3)
# So many events are counted again in some seconds and some tens of megabytes; a busier shop has a shorter sample.
MOST_EVENTS = 60_000

_GAP = timedelta(minutes=30)
_STEP = timedelta(minutes=5)
_SHORTEST = timedelta(minutes=15)
_FUNNEL = timedelta(milliseconds=FUNNEL_WINDOW)
_KINDS = ("category_5m", "brand_10m", "category_1h")


@dataclass(frozen=True)
class Sample:
    """A stretch of event time, [start, end)."""

    start: datetime
    end: datetime

    def holds_visit(self, visit: Mapping[str, Any]) -> bool:
        """Whether no event of a visit can lie outside."""
        begins_inside = visit["session_start"] - self.start > _GAP
        return bool(begins_inside and self.end - visit["session_end"] > _GAP)

    def holds_window(self, window: Mapping[str, Any]) -> bool:
        """Whether a window lies wholly inside."""
        return bool(window["window_start"] >= self.start and window["window_end"] <= self.end)


def choose(db: Database[Document], watermark: datetime) -> Sample | None:
    """Choose the newest stretch that is closed and not too full; None where there is nothing in it.

    Args:
        db: The platform's database.
        watermark: The stream's watermark: earlier events can change nothing any more.
    """
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    # A watermark in mid-window would leave that window half counted.
    end = watermark - (watermark - epoch) % _STEP
    events = indexed(db, "enriched_events", "event_timestamp")
    length = LONGEST
    while length >= _SHORTEST:
        sample = Sample(end - length, end)
        count = events.count_documents(_within("event_timestamp", sample), limit=MOST_EVENTS + 1)
        if count <= MOST_EVENTS:
            return sample if count else None
        length /= 2
    return None


def audit(db: Database[Document], sample: Sample) -> dict[str, Differences]:
    """Compare what the stream stored of a sample with what its events say.

    Args:
        db: The platform's database.
        sample: From `choose`.

    Returns:
        The differences by collection.
    """
    events = db["enriched_events"].find(_within("event_timestamp", sample))
    expected = expectation(sample, recompute(events))
    return {
        name: compare(_stored(db, name, sample, expected[name]), expected[name], sketched=SKETCHED) for name in AUDITED
    }


def expectation(sample: Sample, recomputed: Mapping[str, Mapping[str, Document]]) -> dict[str, dict[str, Document]]:
    """What of a recomputation over a sample is certain, whatever lies outside.

    Args:
        sample: The stretch of time.
        recomputed: Documents by collection and `_id`, recomputed from its events alone.
    """
    visits = recomputed["user_session_analytics"]
    uncertain = {_funnel_window(visit) for visit in visits.values() if not sample.holds_visit(visit)}
    funnel = {
        key: window
        for key, window in recomputed["conversion_funnel"].items()
        # Before that, visits may have begun outside whose first events here look like a beginning.
        if window["window_start"] > sample.start + _GAP and window["window_start"] not in uncertain
    }
    windows = recomputed["event_aggregations"]
    return {
        "event_aggregations": {key: one for key, one in windows.items() if sample.holds_window(one)},
        "user_session_analytics": {key: one for key, one in visits.items() if sample.holds_visit(one)},
        "conversion_funnel": funnel,
    }


def findings(differences: Mapping[str, Differences], sample: Sample, late: int, lost: int) -> Iterator[Finding]:
    """Tell what differs.

    Args:
        differences: From `audit`.
        sample: What was compared.
        late: Events that came too late for their windows, since the stream began.
        lost: Records that are on record as lost.

    Yields:
        One finding per collection that differs. Late events are in `enriched_events`, but not in windows and visits:
        with some of them (or with lost records, whose windows are left alone) a difference proves nothing.
    """
    severity: Severity = "warning" if late or lost else "critical"
    for name, one in differences.items():
        if not one:
            continue
        wrong = len(one.missing) + len(one.unexpected) + one.different_documents
        offenders = [(key, "missing") for key in one.missing] + [(key, "not expected") for key in one.unexpected]
        offenders += [(each.document_id, _difference(each)) for each in one.different]
        excuse = f"; {late:,} events came late, {lost:,} records were lost" if late or lost else ""
        yield Finding(
            f"{name}_as_recomputed",
            severity,
            "What the stream stored differs from what enriched_events says about the same time, although nothing there "
            "can change any more. Look at the stream's log around its restarts, and for documents written by hand; "
            "streaming_lifecycle with `rebuild` writes all of them anew.",
            f"{wrong:,} of {one.expected:,} documents between {sample.start:%Y-%m-%d %H:%M} and "
            f"{sample.end:%Y-%m-%d %H:%M} UTC: {len(one.missing):,} missing, {len(one.unexpected):,} not expected, "
            f"{one.different_documents:,} different{excuse}",
            {"unexpected_count": wrong, "element_count": one.expected},
            [key for key, _ in offenders[:OFFENDERS]],
            [text for _, text in offenders[:OFFENDERS]],
        )


def _stored(
    db: Database[Document], name: str, sample: Sample, expected: Mapping[str, Document]
) -> Iterable[Mapping[str, Any]]:
    """The stored documents of a sample: those that are expected, and those that should not be there."""
    if name == "event_aggregations":
        start, end = _iso(sample.start), _iso(sample.end)
        # One query, and the time in it, too: the embedded server looks at every document for a range of `_id`s, and has
        # done with most of them after one comparison.
        kinds = [{"_id": {"$gte": f"{kind}|{start}", "$lt": f"{kind}|{end}"}} for kind in _KINDS]
        found = db[name].find(_within("window_start", sample) | {"$or": kinds})
        yield from (one for one in found if sample.holds_window(one))
    elif name == "user_session_analytics":
        started = indexed(db, name, "session_start").find(_within("session_start", sample))
        yield from (one for one in started if sample.holds_visit(one))
    else:
        found = indexed(db, name, "window_start").find(_within("window_start", sample))
        certain = {one["window_start"] for one in expected.values()}
        yield from (one for one in found if one["window_start"] in certain)


def _within(field: str, sample: Sample) -> dict[str, Any]:
    return {field: {"$gte": sample.start, "$lt": sample.end}}


def _funnel_window(visit: Mapping[str, Any]) -> datetime:
    start: datetime = visit["session_start"]
    return start - (start - datetime(1970, 1, 1, tzinfo=UTC)) % _FUNNEL


def _difference(each: Any) -> str:
    return f"{each.field} is {each.actual!r}, expected {each.expected!r}"[:200]


def _iso(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S")
