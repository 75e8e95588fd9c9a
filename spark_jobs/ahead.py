"""Making the next item while the last one is being used.

In a second thread where one side waits for the database while the other one computes, in a second process where both
compute.
"""

from __future__ import annotations

import multiprocessing
import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
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
        yield from _taken(made.get)
    finally:
        left.set()


def ahead_elsewhere(make: Callable[..., Iterable[Item]], *arguments: Any) -> Iterator[Item]:
    """Yield the items that `make` makes, in their order, while a second process makes the next one.

    The process starts at once, before the first item is asked for.

    Args:
        make: A function of a module, called in the process; an exception is raised here.
        arguments: What it is called with. Like them, the items and exceptions are pickled on their way.

    Raises:
        RuntimeError: The process ended early, as one does that the kernel kills for its memory.
    """
    # Not forked: threads and connections of this process would be no good there.
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_make, args=(there, make, arguments), name="reader", daemon=True)
    process.start()
    there.close()
    return _received(here, process)


def _received(here: Connection, process: BaseProcess) -> Iterator[Any]:
    try:
        yield from _taken(here.recv)
    except EOFError:
        process.join()
        raise RuntimeError(f"the process that reads ended with status {process.exitcode} (out of memory?)") from None
    finally:
        here.close()
        process.terminate()
        process.join()


def _taken(take: Callable[[], tuple[bool, Any]]) -> Iterator[Any]:
    """Yield what comes with True, until False comes with None, or with an exception that is raised."""
    while True:
        more, item = take()
        if not more:
            if item is not None:
                raise item
            return
        yield item


def _make(there: Connection, make: Callable[..., Iterable[Any]], arguments: tuple[Any, ...]) -> None:
    """Send each item as soon as there is room for it, which is when the one before has been taken."""
    try:
        for item in make(*arguments):
            there.send((True, item))
        there.send((False, None))
    except BrokenPipeError:
        return  # nobody waits for more
    except Exception as error:
        there.send((False, error))
