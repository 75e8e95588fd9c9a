"""Reconciliation: is every record of the Kafka topic accounted for in MongoDB?

The stream keeps counters in `stream_health`, `_id: "driver"`: `end_offsets` (next offset to read by partition),
`accepted`, `dead_lettered` and `lost_records` (records; these and the offsets change in one write), `late_events` and
`duplicates` (accepted records it recognised as too old for their windows, or as seen before). An `_id` of
`enriched_events` is the event's id: an event that comes again, because a file was replayed, replaces its document,
which then carries the newest Kafka offset. So counting documents says less than counting records, and what must hold
is:

* the newest records that the stream has read each have their document: proof, for a sample of bounded size;
* accepted + dead-lettered + lost = records read, at any time;
* dead-letter documents = dead-lettered records (never fewer; never more at rest);
* documents enriched <= accepted at rest, and some if any were accepted. Fewer than accepted - duplicates - late are
  losses, unless a crash kept the stream from counting all repeated and late events;
* documents <= records in the topic, in total and by partition, at any time.

The driver is read before the documents are counted, and Kafka's offsets after, which is why these hold while the stream
runs. At rest means: nothing is left to read, and the driver's document did not change during the counting.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from spark_jobs.events.topic import Counts, Record
from spark_jobs.mongo import Document
from spark_jobs.quality.outcome import OFFENDERS, Finding

SILENT_AFTER = timedelta(minutes=5)
CHECKS = 9

_OF_COUNTS = frozenset({"no_more_documents_than_records", "dead_letters_are_kept", "accepted_are_enriched"})
_COUNTERS = ("accepted", "dead_lettered", "duplicates", "late_events", "lost_records")


@dataclass(frozen=True)
class Ledger:
    """Both sides of the books, read in the order of the fields.

    Attributes:
        driver: The driver's document, or None where none ever ran.
        enriched: Documents of `enriched_events`.
        dead: Documents of `dead_letter_events`.
        by_partition: Documents of both by Kafka partition, or None where they are too many to be counted each run.
        settled: Whether the driver's document was the same after the counting.
        beginning: First offset that Kafka still has, by partition.
        end: Next offset that Kafka will give, by partition.
        sampled: Newest records that the stream has read and that were looked for among the documents.
        lost: Those of them that have no document.
        now: When.
        window_events: Events that the windows of `category_5m` count, or None where they are too many to be added up.
        visit_events: Events that the visits count, or None likewise.
    """

    driver: Document | None
    enriched: int
    dead: int
    by_partition: Counts | None
    settled: bool
    beginning: Counts
    end: Counts
    sampled: int
    lost: tuple[Record, ...]
    now: datetime
    window_events: int | None = None
    visit_events: int | None = None

    @property
    def read(self) -> Counts:
        """Next offset that the stream will read, by partition."""
        offsets = (self.driver or {}).get("end_offsets") or {}
        return {int(partition): int(offset) for partition, offset in offsets.items()}

    @property
    def records_read(self) -> int:
        """How many records the stream has passed since its checkpoint began."""
        first = (self.driver or {}).get("start_offsets") or {}
        return sum(offset - first.get(str(partition), 0) for partition, offset in self.read.items())

    @property
    def expired(self) -> bool:
        """Whether Kafka's retention has deleted records, so that offsets no longer count what the stream saw."""
        return any(self.beginning.values())

    @property
    def lag(self) -> int:
        """Records in the topic that the stream has not read."""
        read = self.read
        return sum(end - max(read.get(p, 0), self.beginning.get(p, 0)) for p, end in self.end.items())

    @property
    def at_rest(self) -> bool:
        """Whether nothing was left to read and nothing moved while the documents were counted."""
        return self.settled and self.lag == 0

    @property
    def counters(self) -> dict[str, int]:
        """Those counters that the driver reports."""
        driver = self.driver or {}
        return {name: int(driver[name]) for name in _COUNTERS if driver.get(name) is not None}

    def figures(self) -> dict[str, Any]:
        """The books as they are stored with the result; partitions are text, as keys of documents must be."""
        by_partition = self.by_partition
        return {
            "kafka_end": sum(self.end.values()),
            "records_read": sum(self.read.values()),
            "lag": self.lag,
            **self.counters,
            "enriched_documents": self.enriched,
            "dead_letter_documents": self.dead,
            "sampled_records": self.sampled,
            "lost_records": len(self.lost),
            "window_events": self.window_events,
            "visit_events": self.visit_events,
            "at_rest": self.at_rest,
            "partitions": {
                str(partition): {
                    "beginning": self.beginning.get(partition, 0),
                    "end": end,
                    "read": self.read.get(partition),
                    "documents": None if by_partition is None else by_partition.get(partition, 0),
                }
                for partition, end in sorted(self.end.items())
            },
        }


def reconcile(ledger: Ledger) -> list[Finding]:
    """Compare both sides of the books; see the module's docstring for what must hold.

    Returns:
        One finding per relation that does not hold (at most `CHECKS`), critical ones first.
    """
    findings = [*_offsets(ledger), *_documents(ledger), *_counters(ledger), *_activity(ledger)]
    return sorted(findings, key=lambda finding: finding.severity != "critical")


def rests_on_counts(findings: Iterable[Finding]) -> bool:
    """Whether something critical was found that follows from how many documents there are."""
    return any(one.severity == "critical" and one.expectation in _OF_COUNTS for one in findings)


def _offsets(ledger: Ledger) -> Iterator[Finding]:
    ahead = {p: read for p, read in ledger.read.items() if read > ledger.end.get(p, 0)}
    if ahead:
        yield Finding(
            "offsets_within_topic",
            "critical",
            "The stream has read further than the topic goes: the topic was deleted or made anew under its checkpoint. "
            "Restore the topic, or reset stream and documents together.",
            "; ".join(f"partition {p}: read {read:,}, end {ledger.end.get(p, 0):,}" for p, read in ahead.items()),
        )
    read = ledger.read
    expired = {p: first - read.get(p, 0) for p, first in ledger.beginning.items() if read and first > read.get(p, 0)}
    if expired:
        yield Finding(
            "nothing_expired_unread",
            "critical",
            "Kafka's retention deleted records before the stream read them. Lengthen the topic's retention, keep the "
            "stream running, and replay the source.",
            "; ".join(f"partition {p}: {count:,} records" for p, count in expired.items()),
        )


def _documents(ledger: Ledger) -> Iterator[Finding]:
    if ledger.lost:
        yield Finding(
            "newest_records_have_documents",
            "critical",
            "Records that the stream has read are neither in enriched_events nor in dead_letter_events: documents were "
            "deleted, or a write was lost. Replay the source; it overwrites what is there.",
            f"{len(ledger.lost):,} of the {ledger.sampled:,} newest records",
            {"unexpected_count": len(ledger.lost), "element_count": ledger.sampled},
            [record.event_id or record.position for record in ledger.lost[:OFFENDERS]],
            [f"partition={record.partition}, offset={record.offset}" for record in ledger.lost[:OFFENDERS]],
        )
    documents, records = ledger.enriched + ledger.dead, sum(ledger.end.values())
    partitions = [(p, count, ledger.end.get(p, 0)) for p, count in sorted((ledger.by_partition or {}).items())]
    over = [f"partition {p}: {count:,} documents, {end:,} records" for p, count, end in partitions if count > end]
    if documents > records or over:
        yield Finding(
            "no_more_documents_than_records",
            "critical",
            "There are more documents than the topic ever had records: they come from another topic, were written by "
            "hand, or the topic was made anew. Find out which before trusting any figure.",
            "; ".join([f"{documents:,} documents, {records:,} records in all", *over]),
        )


def _counters(ledger: Ledger) -> Iterator[Finding]:
    counters = ledger.counters
    if "accepted" not in counters or "dead_lettered" not in counters:
        return
    accepted, dead_lettered = counters["accepted"], counters["dead_lettered"]
    read, lost = ledger.records_read, counters.get("lost_records", 0)
    if accepted + dead_lettered + lost != read:
        yield Finding(
            "every_record_counted",
            "critical",
            "Each record must be accepted or dead-lettered, once, or be on record as lost. Compare these figures with "
            "the stream's log around its last restart.",
            f"{accepted:,} accepted + {dead_lettered:,} dead-lettered + {lost:,} lost, {read:,} records read",
        )
    if ledger.dead < dead_lettered or (ledger.at_rest and not ledger.expired and ledger.dead > dead_lettered):
        yield Finding(
            "dead_letters_are_kept",
            "critical",
            "Each rejected record must be one document of dead_letter_events. Documents were deleted or written by "
            "hand, or a write was lost.",
            f"{ledger.dead:,} documents, {dead_lettered:,} dead-lettered records",
        )
    repeated = counters.get("duplicates", 0) + counters.get("late_events", 0)
    surplus = ledger.at_rest and not ledger.expired and ledger.enriched > accepted
    if surplus or ledger.enriched < accepted - repeated:
        # The counts of repeated and late events miss what happened in a batch whose report a crash swallowed.
        uncertain = repeated > 0 and ledger.enriched > 0 and not surplus
        yield Finding(
            "accepted_are_enriched",
            "warning" if uncertain else "critical",
            "enriched_events should have one document per accepted event. Fewer means that events were sent again in a "
            "batch that crashed, or that documents were deleted: replaying the source restores them.",
            f"{ledger.enriched:,} documents, {accepted:,} accepted events ({repeated:,} known to be repeated or late)",
        )


def _activity(ledger: Ledger) -> Iterator[Finding]:
    driver = ledger.driver
    missing = [name for name in _COUNTERS if name not in ledger.counters]
    if driver is not None and missing:
        yield Finding(
            "counters_reported",
            "warning",
            "The stream does not report these counters, so the books cannot be balanced. Restart it with "
            "streaming_lifecycle.",
            f"no {', '.join(missing)} in stream_health",
        )
    silent = driver is None or driver.get("state") != "running" or _age(driver, ledger.now) > SILENT_AFTER
    if ledger.lag > 0 and silent:
        state = "it never ran" if driver is None else f"state {driver.get('state')}, seen {driver.get('updated_at')}"
        yield Finding(
            "records_are_being_read",
            "warning",
            "Records wait in the topic and nothing reads them. Trigger streaming_lifecycle with `ensure`.",
            f"{ledger.lag:,} records unread; the stream: {state}",
        )


def _age(driver: Document, now: datetime) -> timedelta:
    seen = driver.get("updated_at")
    return now - seen if isinstance(seen, datetime) else timedelta.max
