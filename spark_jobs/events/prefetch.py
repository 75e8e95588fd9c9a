"""Reads and encodes an events file in a process of its own, so that sending has a core for itself.

Both are Python's work, and one process would do one of them at a time: a third of the time of a replay flat out.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from itertools import islice
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

from spark_jobs.errors import JobError
from spark_jobs.events.record import Record, encoder
from spark_jobs.events.source import rows

_CHUNK = 1_000

Numbered = tuple[int, Record]


def encoded(path: Path, source: str, shift: timedelta, skip: int, limit: int | None) -> Iterator[Numbered]:
    """Read records ahead of their use, as far as a pipe holds them.

    Args:
        path: The events file.
        source: Name the event ids derive from.
        shift: Added to every readable `event_time`.
        skip: Rows to leave out at the beginning.
        limit: Number of the last row; None reads all.

    Yields:
        Row numbers, from 1, and records.

    Raises:
        JobError: The file breaks off; what was read before has been yielded.
        RuntimeError: The reading process was killed.
    """
    context = get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_read, args=(sender, path, source, shift, skip, limit), daemon=True)
    process.start()
    sender.close()
    try:
        while chunk := receiver.recv():
            if isinstance(chunk, JobError):
                raise chunk
            yield from chunk
    except EOFError:
        raise RuntimeError(f"the process that reads {path} was killed") from None
    finally:
        receiver.close()
        process.terminate()
        process.join()


def _read(sender: Connection, path: Path, source: str, shift: timedelta, skip: int, limit: int | None) -> None:
    """Send chunks of records, then an empty one; an error of the file instead of that."""
    encode = encoder(source, shift)
    numbered = islice(enumerate(rows(path), start=1), skip, limit)
    chunk: list[Numbered] = []
    end: list[Numbered] | JobError = []
    # The other side has lost interest: it was ended, or Kafka failed.
    with suppress(BrokenPipeError):
        try:
            for number, row in numbered:
                chunk.append((number, encode(number, row)))
                if len(chunk) == _CHUNK:
                    sender.send(chunk)
                    chunk = []
        except JobError as error:
            end = error
        if chunk:
            sender.send(chunk)
        sender.send(end)
