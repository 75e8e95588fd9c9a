"""Kafka's books against MongoDB's."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from spark_jobs.events.topic import Record, _event_id
from spark_jobs.quality.reconcile import CHECKS, Ledger, reconcile

NOW = datetime(2019, 11, 1, tzinfo=UTC)
DRIVER: dict[str, Any] = {
    "_id": "driver",
    "state": "running",
    "updated_at": NOW - timedelta(seconds=2),
    "end_offsets": {"0": 60, "1": 40},
    "accepted": 95,
    "dead_lettered": 5,
    "duplicates": 0,
    "late_events": 0,
    "lost_records": 0,
}
BALANCED = Ledger(
    driver=DRIVER,
    enriched=95,
    dead=5,
    by_partition={0: 60, 1: 40},
    settled=True,
    beginning={0: 0, 1: 0},
    end={0: 60, 1: 40},
    sampled=100,
    lost=(),
    now=NOW,
)


def _found(ledger: Ledger) -> dict[str, str]:
    findings = reconcile(ledger)
    assert len(findings) <= CHECKS
    return {finding.expectation: finding.severity for finding in findings}


def _driver(**changes: Any) -> Ledger:
    return replace(BALANCED, driver=DRIVER | changes)


def test_balanced_books() -> None:
    assert _found(BALANCED) == {}
    figures = BALANCED.figures()
    assert (figures["kafka_end"], figures["records_read"], figures["lag"], figures["at_rest"]) == (100, 100, 0, True)
    assert figures["partitions"]["1"] == {"beginning": 0, "end": 40, "read": 40, "documents": 40}


def test_a_file_replayed_changes_nothing() -> None:
    twice = replace(
        _driver(end_offsets={"0": 120, "1": 80}, accepted=190, dead_lettered=10, duplicates=80, late_events=15),
        end={0: 120, 1: 80},
        dead=10,
        by_partition={0: 63, 1: 42},
    )
    assert _found(twice) == {}


def test_documents_of_a_running_stream_may_be_ahead_of_its_counters() -> None:
    offsets = {"0": 75, "1": 50}
    driver = _driver(end_offsets=offsets, accepted=120)
    busy = replace(driver, settled=False, end={0: 90, 1: 60}, enriched=125, by_partition={0: 80, 1: 50})
    assert _found(busy) == {}
    # At rest the same counters are wrong.
    assert _found(_driver(accepted=120)) == {"every_record_counted": "critical", "accepted_are_enriched": "critical"}


@pytest.mark.parametrize(
    ("ledger", "found"),
    [
        (replace(BALANCED, enriched=94, by_partition={0: 59, 1: 40}), {"accepted_are_enriched": "critical"}),
        (replace(BALANCED, enriched=0, by_partition={0: 5}), {"accepted_are_enriched": "critical"}),
        (replace(BALANCED, dead=4, by_partition={0: 59, 1: 40}), {"dead_letters_are_kept": "critical"}),
        (
            replace(BALANCED, enriched=96, by_partition={0: 61, 1: 40}),
            {"accepted_are_enriched": "critical", "no_more_documents_than_records": "critical"},
        ),
        (replace(BALANCED, by_partition={0: 61, 1: 39}), {"no_more_documents_than_records": "critical"}),
        (replace(BALANCED, by_partition={0: 60, -1: 40}), {"no_more_documents_than_records": "critical"}),
    ],
)
def test_documents_that_do_not_add_up(ledger: Ledger, found: dict[str, str]) -> None:
    assert _found(ledger) == found


def test_missing_documents_beside_repeated_events_are_no_proof() -> None:
    ledger = replace(_driver(duplicates=3), enriched=90, by_partition={0: 56, 1: 39})
    assert _found(ledger) == {"accepted_are_enriched": "warning"}


def test_lost_records_are_listed() -> None:
    lost = tuple(Record(0, offset, f"event-{offset}" if offset % 2 else None, f"t-0-{offset}") for offset in range(12))
    (finding,) = reconcile(replace(BALANCED, lost=lost))
    assert (finding.expectation, finding.severity) == ("newest_records_have_documents", "critical")
    assert finding.offending_ids[:2] == ["t-0-0", "event-1"]
    assert len(finding.offending_ids) == 10
    assert "12 of the 100" in finding.observed


def test_a_topic_made_anew_is_noticed() -> None:
    assert _found(replace(BALANCED, end={0: 10, 1: 40}))["offsets_within_topic"] == "critical"


def test_expired_records() -> None:
    # Read before they expired: fine, and counts are no longer compared with offsets.
    assert _found(replace(BALANCED, beginning={0: 20, 1: 0})) == {}
    unread = replace(_driver(end_offsets={"0": 10, "1": 40}, accepted=45), beginning={0: 20, 1: 0}, settled=False)
    assert _found(unread) == {"nothing_expired_unread": "critical"}


@pytest.mark.parametrize(
    ("ledger", "found"),
    [
        (replace(BALANCED, end={0: 60, 1: 41}), {}),
        (replace(_driver(state="stopped"), end={0: 60, 1: 41}), {"records_are_being_read": "warning"}),
        (
            replace(_driver(updated_at=NOW - timedelta(minutes=6)), end={0: 60, 1: 41}),
            {"records_are_being_read": "warning"},
        ),
        (_driver(state="stopped"), {}),
        (
            replace(BALANCED, driver=None, enriched=0, dead=0, by_partition={}),
            {"records_are_being_read": "warning"},
        ),
    ],
)
def test_waiting_records_matter_when_nobody_reads(ledger: Ledger, found: dict[str, str]) -> None:
    assert _found(ledger) == found


def test_missing_counters_are_said_and_not_guessed() -> None:
    driver = {name: value for name, value in DRIVER.items() if name not in ("accepted", "duplicates")}
    assert _found(replace(BALANCED, driver=driver)) == {"counters_reported": "warning"}


@pytest.mark.parametrize(
    ("value", "event_id"),
    [
        (b'{"event_id": " a "}', "a"),
        (b'{"event_id": 7}', "7"),
        (b'{"event_id": ""}', None),
        (b'{"event_id": null}', None),
        (b"{}", None),
        (b"[1]", None),
        (b"no json", None),
        (b"\xff", None),
        (None, None),
    ],
)
def test_event_id_of_a_record(value: bytes | None, event_id: str | None) -> None:
    assert _event_id(value) == event_id
