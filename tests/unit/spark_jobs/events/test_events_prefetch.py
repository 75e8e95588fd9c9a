"""Reading ahead in another process gives what reading gives."""

from __future__ import annotations

import gzip
from datetime import timedelta
from itertools import islice
from pathlib import Path

import pytest

from spark_jobs.errors import JobError
from spark_jobs.events.prefetch import encoded
from spark_jobs.events.record import encoder
from spark_jobs.events.source import COLUMNS, rows

SHIFT = timedelta(hours=3)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "events.csv"
    row = "2019-10-01 00:00:00 UTC,view,{n},7,toys.robot,acme,5.00,9,s{n}"
    path.write_text("\n".join([",".join(COLUMNS), *(row.format(n=number) for number in range(1, 2_501))]) + "\n")
    return path


@pytest.mark.parametrize(("skip", "limit"), [(0, None), (1_200, None), (10, 1_500), (2_500, None)])
def test_records_are_those_of_the_file(file: Path, skip: int, limit: int | None) -> None:
    encode = encoder("a shop", SHIFT)
    expected = [(number, encode(number, row)) for number, row in enumerate(rows(file), start=1)][skip:limit]
    assert list(encoded(file, "a shop", SHIFT, skip, limit)) == expected


def test_a_file_that_breaks_off_yields_what_was_read_and_then_fails(file: Path) -> None:
    broken = file.with_suffix(".csv.gz")
    packed = gzip.compress(file.read_bytes())
    broken.write_bytes(packed[: len(packed) // 2])
    read: list[int] = []
    with pytest.raises(JobError, match="breaks off after row"):
        read.extend(number for number, _ in encoded(broken, "a shop", SHIFT, 0, None))
    assert read == list(range(1, len(read) + 1))
    assert len(read) > 100


def test_who_stops_early_leaves_no_process_behind(file: Path) -> None:
    records = encoded(file, "a shop", SHIFT, 0, None)
    assert [number for number, _ in islice(records, 3)] == [1, 2, 3]
    records.close()  # type: ignore[attr-defined]  # joins the process, or hangs
