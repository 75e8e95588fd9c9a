"""The right to be the only streaming driver, on machines that share nothing but the document store.

One document of `stream_lease` says who has it and until when, by the server's own clock. The holder renews it; whoever
wants it waits until it is given back or has run out. A holder that was cut off from the server does not know whether
somebody else has had it since, so it confirms that it still is the last one to have it before it writes. For that the
document outlives its holders: one that leaves ends its term, but stays named as the owner.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Self

from pymongo.database import Database
from pymongo.errors import DuplicateKeyError, PyMongoError

from spark_jobs.errors import JobError
from spark_jobs.mongo import Document

log = logging.getLogger(__name__)

COLLECTION = "stream_lease"
LEASE_ID = "driver"

# Renewals within one term: so many may fail before the lease runs out.
RENEWALS = 5
_POLL_SECONDS = 1.0

# Status of a driver that ends itself because another one has taken over: a failure, to be looked at and restarted.
EXIT_LOST = 75


class LeaseLost(Exception):  # noqa: N818  (a state of affairs)
    """Another driver has the lease, or may have had it since."""


class Lease:
    """A lease, held from entering the context to leaving it.

    Args:
        db: The platform's database.
        seconds: Length of a term: a driver that dies holds the next one up for as long.
        patience: Longest time to wait for another holder's lease to end; two terms unless given.
        on_lost: Called, from any thread, when another driver has the lease or may have had it, which no living holder
            lets happen. Ends this process at once unless given: whatever it still writes, its heartbeat too, is the
            other one's to write.
    """

    def __init__(
        self,
        db: Database[Document],
        seconds: float,
        patience: float | None = None,
        on_lost: Callable[[], None] = lambda: os._exit(EXIT_LOST),
    ) -> None:
        self._collection = db[COLLECTION]
        self._seconds = seconds
        self._patience = 2 * seconds if patience is None else patience
        self._on_lost = on_lost
        self._owner = f"{socket.gethostname()}|{os.getpid()}|{uuid.uuid4().hex}"
        self._valid_until = 0.0
        self._leaving = threading.Event()
        self._lock = threading.Lock()
        self._renewer = threading.Thread(target=self._keep, name="lease", daemon=True)

    def __enter__(self) -> Self:
        """Take the lease.

        Raises:
            JobError: Another driver holds it and goes on renewing it.
        """
        deadline = time.monotonic() + self._patience
        told = ""
        while not self._take():
            holder = str((self._collection.find_one({"_id": LEASE_ID}) or {}).get("owner", "nobody")).split("|")[0]
            if time.monotonic() > deadline:
                raise JobError(
                    f"another streaming driver is running on {holder} (the streaming_lifecycle DAG stops it)"
                )
            if holder != told:
                log.info("waiting for the lease that %s holds, at most %.0f s", holder, self._patience)
                told = holder
            time.sleep(min(_POLL_SECONDS, self._seconds / RENEWALS))
        self._renewer.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End the term now, so that the next driver need not wait."""
        self._leaving.set()
        self._renewer.join()
        try:
            self._collection.update_one({"_id": LEASE_ID, "owner": self._owner}, {"$set": self._term(0)})
        except PyMongoError as error:
            log.warning("the lease could not be given back, and runs out: %s", error)

    def confirm(self) -> None:
        """Make sure that this driver has the lease, before it writes.

        Raises:
            LeaseLost: Another driver has it, or may have had it since; `on_lost` has been called.
            PyMongoError: The server does not answer, and the lease may have run out.
        """
        if time.monotonic() >= self._valid_until and not self._renew():
            self._on_lost()
            raise LeaseLost(f"{self._owner} is no longer the owner of the lease")

    def _take(self) -> bool:
        """Take a lease that is free, or whose term is over."""
        asked = time.monotonic()
        term = self._term(self._seconds)
        over = {"_id": LEASE_ID, "expires_at": {"$lte": term["renewed_at"]}}
        if not self._collection.update_one(over, {"$set": term}).matched_count:
            try:
                self._collection.insert_one({"_id": LEASE_ID, **term})
            except DuplicateKeyError:  # it exists, and its term is not over
                return False
        self._valid_until = asked + self._seconds
        return True

    def _renew(self) -> bool:
        """Begin a new term; False when this driver is not the last one that is known to have had the lease.

        Without a document nobody is known: somebody deleted it, and another driver may have had and left it before. To
        end then is safe, and whoever starts next takes a new lease.
        """
        with self._lock:
            # Counted from the question: the answer may take long.
            asked = time.monotonic()
            mine = {"_id": LEASE_ID, "owner": self._owner}
            if not self._collection.update_one(mine, {"$set": self._term(self._seconds)}).matched_count:
                return False
            self._valid_until = asked + self._seconds
        return True

    def _term(self, seconds: float) -> Document:
        """Describe a term that begins now, by the server's clock."""
        now = self._collection.database.command("hello")["localTime"]
        return {"owner": self._owner, "expires_at": now + timedelta(seconds=seconds), "renewed_at": now}

    def _keep(self) -> None:
        """Renew until the end; go on through outages, in which nobody else can take the lease either."""
        while not self._leaving.wait(self._seconds / RENEWALS):
            try:
                kept = self._renew()
            except PyMongoError as error:
                log.warning("the lease could not be renewed: %s", str(error).split(", Timeout:")[0])
                continue
            if not kept:
                log.error("another streaming driver has the lease, or somebody deleted it: ending at once")
                self._on_lost()
                return
