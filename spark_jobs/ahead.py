"""Making the next item while the last one is being used: one side waits for the database, the other one computes."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

# How often the maker looks whether anybody still waits for what it makes.
_POLL_SECONDS = 0.2

Item = TypeVar("Item")


def ahead(items: Iterable[Item], size: int = 1) -> Iterator[Item]:
    """Yield the items in their order, while a second thread makes the next ones.

    Args:
        items: Made by the thread; an exception is raised here.
        size: How many are made in advance.
    """
    made: queue.Queue[tuple[bool, Any]] = queue.Queue(size)
    left = threading.Event()

    def put(entry: tuple[bool, Any]) -> None:
        while not left.is_set():
            try:
                made.put(entry, timeout=_POLL_SECONDS)
            except queue.Full:
                continue
            return

    def work() -> None:
        try:
            for item in items:
                put((True, item))
                if left.is_set():
                    return
            put((False, None))
        except BaseException as error:
            put((False, error))

    threading.Thread(target=work, name="reader", daemon=True).start()
    try:
        while True:
            more, item = made.get()
            if not more:
                if item is not None:
                    raise item
                return
            yield item
    finally:
        left.set()
