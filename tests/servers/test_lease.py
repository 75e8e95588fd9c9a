"""The lease that no two streaming drivers hold, on a real document store."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from pymongo.database import Database

from benchmarks.servers import Servers
from spark_jobs.errors import JobError
from spark_jobs.streaming.lease import COLLECTION, LEASE_ID, Lease, LeaseLost
from tests.stack import wait_for

SECONDS = 1.0

Leases = Callable[..., Lease]


@pytest.fixture
def db(running: Servers) -> Database[dict[str, Any]]:
    """The store, without any lease."""
    running.db.drop_collection(COLLECTION)
    return running.db


@pytest.fixture
def lost() -> threading.Event:
    """Set when a holder has found out that another one took over."""
    return threading.Event()


@pytest.fixture
def lease(db: Database[dict[str, Any]], lost: threading.Event) -> Leases:
    def make(seconds: float = SECONDS, patience: float | None = None) -> Lease:
        return Lease(db, seconds, patience, on_lost=lost.set)

    return make


def test_a_second_driver_gives_up(lease: Leases, lost: threading.Event) -> None:
    with lease() as first:
        begun = time.monotonic()
        with pytest.raises(JobError, match="another streaming driver is running on "), lease(patience=2.5 * SECONDS):
            pass
        assert time.monotonic() - begun > 2.5 * SECONDS, "longer than a term: the first one has renewed it"
        first.confirm()
    assert not lost.is_set()


def test_a_lease_that_is_given_back_is_free_at_once(lease: Leases) -> None:
    with lease(seconds=60):
        pass
    begun = time.monotonic()
    with lease(seconds=60) as second:
        second.confirm()
    assert time.monotonic() - begun < 5


def test_one_of_many_gets_it(lease: Leases) -> None:
    holders: list[int] = []
    together = threading.Barrier(8)
    release = threading.Event()

    def contend(number: int) -> None:
        together.wait()
        try:
            with lease(seconds=30, patience=0):
                holders.append(number)
                release.wait()
        except JobError:
            pass

    threads = [threading.Thread(target=contend, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    wait_for(lambda: sum(thread.is_alive() for thread in threads) == 1, 30, "seven of eight to give up")
    release.set()
    for thread in threads:
        thread.join()
    assert len(holders) == 1


def test_the_lease_of_a_dead_driver_runs_out(lease: Leases, db: Database[dict[str, Any]]) -> None:
    dead = lease()
    assert dead._take()  # and never renews it
    begun = time.monotonic()
    with lease(patience=10):
        assert time.monotonic() - begun > 0.5 * SECONDS
        assert db[COLLECTION].count_documents({}) == 1


def test_a_driver_that_was_away_finds_out_before_it_writes(lease: Leases, lost: threading.Event) -> None:
    away = lease()
    assert away._take()
    away.confirm()
    with lease(patience=10):
        wait_for(lambda: time.monotonic() > away._valid_until, 10, "the end of its term")
        with pytest.raises(LeaseLost):
            away.confirm()
        assert lost.is_set()


def test_a_driver_whose_term_was_missed_but_not_taken_goes_on(lease: Leases) -> None:
    away = lease()
    assert away._take()
    wait_for(lambda: time.monotonic() > away._valid_until + 0.2, 10, "the end of its term")
    away.confirm()


def test_a_holder_is_told_that_another_one_took_over(
    lease: Leases, db: Database[dict[str, Any]], lost: threading.Event
) -> None:
    with lease():
        db[COLLECTION].update_one({"_id": LEASE_ID}, {"$set": {"owner": "somebody else"}})
        assert lost.wait(10)
    assert db[COLLECTION].find_one({"_id": LEASE_ID}), "what is another one's is not given back"


def test_a_driver_that_was_away_ends_even_if_its_successor_has_left(
    lease: Leases, db: Database[dict[str, Any]], lost: threading.Event
) -> None:
    away = lease()
    assert away._take()
    wait_for(lambda: time.monotonic() > away._valid_until, 10, "the end of its term")
    with lease(patience=10):
        pass
    with pytest.raises(LeaseLost):
        away.confirm()
    assert lost.is_set()
    assert (db[COLLECTION].find_one({"_id": LEASE_ID}) or {})["owner"] != away._owner


def test_a_lease_that_somebody_deleted_ends_its_holder_and_is_free(
    lease: Leases, db: Database[dict[str, Any]], lost: threading.Event
) -> None:
    """Nobody can tell any more whether another driver has had it since."""
    with lease():
        db[COLLECTION].delete_many({})
        assert lost.wait(10)
    with lease(patience=0) as second:
        second.confirm()
