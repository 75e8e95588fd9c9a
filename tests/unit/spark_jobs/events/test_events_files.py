"""Reading events files, encoding their rows, deriving dimensions."""

from __future__ import annotations

import gzip
import json
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from spark_jobs.audit.enrich import event_id as independent_event_id
from spark_jobs.errors import JobError
from spark_jobs.events.dimensions import derive, overlay, product, user
from spark_jobs.events.inspection import inspect
from spark_jobs.events.record import LARGEST, encoded, encoder, event_id
from spark_jobs.events.source import COLUMNS, event_time, newest_event, rows

HEADER = ",".join(COLUMNS)
ROW = "2019-10-01 00:00:01 UTC,view,1307067,2053013558920217191,computers.notebook,lenovo,251.74,550050854,7c90"
BARE = "2019-10-02 10:00:00 UTC,cart,5,6,,,0.00,9,s2"


def write(path: Path, *lines: str) -> Path:
    text = "\n".join([*lines, ""])
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def test_a_row_too_large_for_kafka_is_named_after_those_before_it(tmp_path: Path) -> None:
    path = write(tmp_path / "e.csv", HEADER, ROW, ROW.replace("lenovo", '"' + "x" * LARGEST), BARE)
    read = encoded(path, "a shop", timedelta(0), 0, None)
    assert next(read)[0] == 1
    with pytest.raises(JobError, match=r"row 2 of .* is a record of 1,000,\d+ bytes"):
        next(read)


@pytest.mark.parametrize("name", ["events.csv", "events.csv.gz"])
def test_csv_rows_come_in_the_schemas_order(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, HEADER, ROW, BARE)
    assert [row[2] for row in rows(path)] == ["1307067", "5"]


def test_columns_may_stand_in_another_order_and_beside_others(tmp_path: Path) -> None:
    path = write(tmp_path / "e.csv", "extra," + ",".join(reversed(COLUMNS)), "x," + ",".join(reversed(ROW.split(","))))
    assert next(rows(path)) == ROW.split(",")


def test_a_byte_order_mark_is_no_part_of_the_header(tmp_path: Path) -> None:
    path = write(tmp_path / "excel.csv", "\ufeff" + HEADER, ROW)
    assert list(rows(path)) == [ROW.split(",")]


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-05:00", "9999-12-31 00:00:00 UTC"])
def test_times_at_the_ends_of_the_calendar_are_left_to_the_streams_rules(time: str) -> None:
    row = [time, *ROW.split(",")[1:]]
    event_time(row)
    _, value = encoder("file", timedelta(days=2))(1, row)
    assert json.loads(value)["event_time"] == time


def test_parquet_rows_are_like_csv_rows(tmp_path: Path) -> None:
    values = [value or None for value in BARE.split(",")]
    table = pa.table({name: [value] for name, value in zip(COLUMNS, values, strict=True)})
    pq.write_table(table, tmp_path / "e.parquet")
    assert next(rows(tmp_path / "e.parquet")) == BARE.split(",")


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["event_time,price", "x,1"], "lacks the columns event_type, product_id"),
        ([], "lacks the columns"),
    ],
)
def test_missing_columns_are_named(tmp_path: Path, lines: list[str], message: str) -> None:
    with pytest.raises(JobError, match=message):
        list(rows(write(tmp_path / "e.csv", *lines)))


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(JobError, match=r"none\.csv cannot be read"):
        list(rows(tmp_path / "none.csv"))


def test_a_file_that_breaks_off_says_where(tmp_path: Path) -> None:
    whole = gzip.compress("\n".join([HEADER, *[ROW] * 20_000]).encode())
    (tmp_path / "e.csv.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(JobError, match="breaks off after row"):
        list(rows(tmp_path / "e.csv.gz"))


def test_event_ids_are_the_uuids_of_the_contract() -> None:
    namespace = uuid.uuid5(uuid.NAMESPACE_URL, "shopstream/customer_events")
    assert event_id("a.csv", 3) == str(uuid.uuid5(namespace, "a.csv:3")) == independent_event_id("a.csv", 3)


def test_records_keep_types_nulls_and_key() -> None:
    key, value = encoder("a.csv")(1, BARE.split(","))
    assert key == b"s2"
    assert json.loads(value) == {
        "event_id": event_id("a.csv", 1),
        "event_time": "2019-10-02 10:00:00 UTC",
        "event_type": "cart",
        "product_id": 5,
        "category_id": 6,
        "category_code": None,
        "brand": None,
        "price": 0.0,
        "user_id": 9,
        "user_session": "s2",
    }


def test_what_does_not_convert_goes_on_as_it_is() -> None:
    row = BARE.replace(",5,", ",12.5,").replace(",0.00,", ",NaN,").split(",")
    decoded = json.loads(encoder("a.csv")(1, row)[1])
    assert (decoded["product_id"], decoded["price"]) == ("12.5", "NaN")


@pytest.mark.parametrize("row", [["garbage"], BARE.split(",")[:4], [*BARE.split(","), "more"]])
def test_what_is_no_row_goes_on_as_text(row: list[str]) -> None:
    assert encoder("a.csv")(1, row) == (b"", ",".join(row).encode())


def test_shifted_events_are_other_events() -> None:
    shifted = json.loads(encoder("a.csv", timedelta(days=1))(1, BARE.split(","))[1])
    assert shifted["event_time"] == "2019-10-03 10:00:00 UTC"
    assert shifted["event_id"] != event_id("a.csv", 1)


def test_the_newest_event_ignores_times_that_will_be_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "e.csv", HEADER, ROW, BARE.replace("2019", "2999"), BARE)
    assert newest_event(path, 0) == datetime(2019, 10, 2, 10, tzinfo=UTC)
    assert newest_event(path, 1) == datetime(2019, 10, 1, 0, 0, 1, tzinfo=UTC)


def test_inspection_ends_at_the_midnight_after_the_last_event(tmp_path: Path) -> None:
    found = inspect(write(tmp_path / "e.csv", HEADER, ROW, BARE))
    assert (found["rows"], found["as_of"]) == (2, "2019-10-03T00:00:00Z")


def test_dimensions_keep_the_newest_facts_and_skip_garbage() -> None:
    known = ROW.split(",")
    later = ["2019-10-03 00:00:00 UTC", "view", "1307067", "", "", "", "99.00", "550050854", "s"]
    absurd = ["2999-01-01 00:00:00 UTC", *known[1:]]
    derived = derive([known, later, absurd, ["garbage"], BARE.replace(",9,", ",-9,").split(",")])
    laptop = product(1307067, derived.products[1307067])
    assert (laptop["category_name"], laptop["subcategory"], laptop["brand"]) == ("computers", "notebook", "lenovo")
    assert laptop["price"] == 99.0
    assert product(5, derived.products[5])["category_name"] is None
    assert list(derived.users) == [550050854]
    assert derived.users[550050854]["last_event"] == datetime(2019, 10, 3, tzinfo=UTC)


@pytest.mark.parametrize("price", ["Infinity", "NaN", "-1", "cheap", ""])
def test_a_price_that_will_be_refused_is_not_the_products(price: str) -> None:
    refused = BARE.replace(",0.00,", f",{price},").split(",")
    assert derive([BARE.split(","), refused]).products[5]["price"] == 0.0


def test_synthetic_attributes_depend_on_the_id_alone() -> None:
    moment = datetime(2019, 10, 1, tzinfo=UTC)
    first, second = user(7, {}), user(7, {"first_event": moment, "last_event": moment})
    for name in first["synthetic"]:
        assert first[name] == second[name]


def test_the_shops_own_columns_win_and_are_not_synthetic(tmp_path: Path) -> None:
    # As Excel writes it, with a byte order mark.
    path = write(tmp_path / "users.csv", "\ufeffuser_id,country,loyalty", "7,PT,gold", "8,BR,")
    users = {7: user(7, {})}
    assert overlay(users, path, "user_id", lambda key: user(key, {})) == 2
    assert (users[7]["country"], users[7]["loyalty"]) == ("PT", "gold")
    assert "country" not in users[7]["synthetic"]
    assert set(users) == {7, 8}


@pytest.mark.parametrize(("line", "message"), [("x,PT", "line 2: user_id is not"), ("0,PT", "line 2: user_id is not")])
def test_a_bad_key_is_named_with_its_line(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(JobError, match=message):
        overlay({}, write(tmp_path / "users.csv", "user_id,country", line), "user_id", lambda key: user(key, {}))


@pytest.mark.parametrize(("skip", "limit"), [(0, None), (7, None), (1, 5), (10, None)])
def test_a_part_of_a_file_is_encoded_with_its_numbers(tmp_path: Path, skip: int, limit: int | None) -> None:
    path = write(tmp_path / "e.csv", HEADER, *(ROW.replace("7c90", f"s{number}") for number in range(1, 11)))
    encode = encoder("a shop", timedelta(hours=3))
    expected = [(number, encode(number, row)) for number, row in enumerate(rows(path), start=1)][skip:limit]
    assert list(encoded(path, "a shop", timedelta(hours=3), skip, limit)) == expected


def test_a_file_that_breaks_off_yields_what_was_read_and_then_fails(tmp_path: Path) -> None:
    path = write(tmp_path / "e.csv.gz", HEADER, *(ROW.replace("7c90", f"s{number}") for number in range(2_500)))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    read: list[int] = []
    with pytest.raises(JobError, match="breaks off after row"):
        read.extend(number for number, _ in encoded(path, "a shop", timedelta(0), 0, None))
    assert read == list(range(1, len(read) + 1))
    assert len(read) > 100
