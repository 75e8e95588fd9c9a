"""Events as text and files that appear complete or not at all."""

import contextlib
import gzip
import os
import shutil
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import BinaryIO, cast

from data.shopgen.catalogue import Catalogue
from data.shopgen.settings import SECONDS_PER_DAY
from data.shopgen.users import Population
from data.shopgen.visits import EVENT_TYPES, Rows

GZIP_LEVEL = 5
BYTES_PER_ROW, BYTES_PER_GZIP_ROW = 150, 60  # upper estimates, for the check of free space
CLOCK = [f"{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}" for second in range(SECONDS_PER_DAY)]


def format_rows(rows: Rows, start: date, day: int, catalogue: Catalogue, population: Population) -> list[str]:
    """Rows of one day as CSV lines without line ends, with that day's prices.

    Args:
        rows: events of one day.
        start: first day of the period.
        day: number of the rows' day in the period, from 0.
        catalogue: products, with the texts of that day.
        population: users.
    """
    texts, today = catalogue.texts, start + timedelta(days=day)
    return [
        f"{today} {CLOCK[second]} UTC,{EVENT_TYPES[kind]},{texts[product]},{user},{session}"
        for second, kind, product, user, session in zip(
            (rows.times - day * SECONDS_PER_DAY).tolist(),
            rows.kinds.tolist(),
            rows.products.tolist(),
            population.ids[rows.users].tolist(),
            rows.sessions.tolist(),
            strict=True,
        )
    ]


def check_target(path: Path, rows: int = 0) -> None:
    """Refuse a file that cannot be written before any work is done.

    Raises:
        OSError: one line saying what is wrong: a directory or device, a missing or read-only folder, too little space.
    """
    folder = path.parent
    if path.exists() and not path.is_file():
        raise OSError(f"{path} is a directory or a device (give the name of a file)")
    if not folder.is_dir():
        raise OSError(f"there is no directory {folder} (create it first, or choose another path)")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OSError(f"cannot write in {folder} (choose another path, or change its permissions)")
    needed = rows * (BYTES_PER_GZIP_ROW if path.suffix == ".gz" else BYTES_PER_ROW)
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise OSError(
            f"{folder} has {free / 1e9:.1f} GB free, about {needed / 1e9:.1f} GB are needed (free some, or use less)"
        )


@contextlib.contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """Open a file for writing that replaces `path` only if the block succeeds; gzip if it ends in `.gz`.

    The temporary file stands beside the target and is removed if the block fails. Compressed bytes depend on the
    content only: neither the time nor the file's name is stored.
    """
    path = path.resolve()
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as raw:
            if path.suffix == ".gz":
                with gzip.GzipFile(filename="", mode="wb", fileobj=raw, compresslevel=GZIP_LEVEL, mtime=0) as packed:
                    yield cast("BinaryIO", packed)
            else:
                yield raw
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
