"""Each rule of validity, from both sides of its edge."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from spark_jobs.audit.validate import parse_event_time, parse_id, parse_price, read_record, validate

NOW = datetime(2019, 10, 1, 12, tzinfo=UTC)
VALID = {
    "event_time": "2019-10-01 00:00:00 UTC",
    "event_type": "view",
    "product_id": 44600062,
    "category_id": 2103807459595387724,
    "category_code": None,
    "brand": None,
    "price": 35.79,
    "user_id": 541312140,
    "user_session": "72d76fde-8bb3-4e00-8c23-a032dfed738c",
}


def reasons(**changes: Any) -> list[str]:
    return validate(VALID | changes, ingested_at=NOW)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b'{"a": 1}', {"a": 1}),
        (b' \t\r\n{"a": "\xc3\xa9"}\n', {"a": "\N{LATIN SMALL LETTER E WITH ACUTE}"}),
        (b'{"a": 1, "a": 2}', {"a": 2}),
        (b'{"a": 1e400}', {"a": float("inf")}),
        (b'{"a": ' + b"9" * 1000 + b"}", {"a": 10**1000 - 1}),
    ],
)
def test_a_record_is_one_json_value(value: bytes, expected: object) -> None:
    assert read_record(value) == expected


@pytest.mark.parametrize(
    "value",
    [
        None, b"", b"null", b"{", b'{"a": 1}x', b'{"a": 1}{"a": 1}', b'\xef\xbb\xbf{"a": 1}', b'{"a": "\xff"}',
        '{"a": 1}'.encode("utf-16"), b'{"a": NaN}', b'{"a": -Infinity}', b"{'a': 1}", b'{"a": "\t"}',
        b'{"a": ' + b"9" * 1001 + b"}", b"[" * 100_000 + b"]" * 100_000,
    ],
    ids=lambda value: repr(value)[:30],
)  # fmt: skip
def test_what_is_no_json_holds_no_record(value: bytes | None) -> None:
    assert read_record(value) is None


def test_a_record_is_valid_as_json_and_as_a_row_of_text() -> None:
    assert validate(VALID, ingested_at=NOW) == []
    assert reasons(product_id="44600062", user_id="541312140", price="35.79", brand="") == []


@pytest.mark.parametrize("record", [None, [], [VALID], "text", 5, json.dumps(VALID)])
def test_anything_but_an_object_has_one_reason(record: object) -> None:
    assert validate(record) == ["not_json_object"]


def test_an_empty_object_has_every_reason_in_order() -> None:
    assert validate({}) == [
        "bad_event_time",
        "bad_event_type",
        "bad_product_id",
        "bad_user_id",
        "bad_user_session",
        "bad_price",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2019-10-01 00:00:00 UTC", datetime(2019, 10, 1, tzinfo=UTC)),
        ("2019-10-01T00:00:00Z", datetime(2019, 10, 1, tzinfo=UTC)),
        ("2019-10-01T00:00:00", datetime(2019, 10, 1, tzinfo=UTC)),
        ("2019-10-01T02:00:00+02:00", datetime(2019, 10, 1, tzinfo=UTC)),
        ("2019-09-30T18:30:00-0530", datetime(2019, 10, 1, tzinfo=UTC)),
        ("2019-10-01T00:00:00.123999Z", datetime(2019, 10, 1, 0, 0, 0, 123000, tzinfo=UTC)),
        ("2019-10-01 00:00:00.5 UTC", datetime(2019, 10, 1, 0, 0, 0, 500000, tzinfo=UTC)),
        ("2019-10-01T00:00:00.123456789Z", datetime(2019, 10, 1, 0, 0, 0, 123000, tzinfo=UTC)),
        (" 2019-10-01 00:00 UTC ", datetime(2019, 10, 1, tzinfo=UTC)),
        ("2019-10-01 02:00:00+02", datetime(2019, 10, 1, tzinfo=UTC)),
        ("2019-10-01T18:00:00 +18:00", datetime(2019, 10, 1, tzinfo=UTC)),
        ("1970-01-01T00:00:00.001Z", datetime(1970, 1, 1, 0, 0, 0, 1000, tzinfo=UTC)),
    ],
)
def test_event_times(text: str, expected: datetime) -> None:
    assert parse_event_time(text) == expected


@pytest.mark.parametrize(
    "value",
    [
        None, "", "yesterday", 1569888000, "2019-10-01", "2019-02-30 00:00:00 UTC", "2019-10-01 24:00:00 UTC",
        "2019-10-01 00:00:60 UTC", "2019-10-01 00:00:00 CET", "2019-10-01 00:00:00 UTC\n", "0001-01-01T00:00:00+10:00",
        "0000-01-01 00:00:00 UTC", "2019-10-01T00:00:00+99:00", "2019-10-01T00:00:00+18:01", "2019-10-01T00:00+02:60",
        "1970-01-01T00:00:00.0009Z", "1969-12-31 23:59:59 UTC", "2019-10-01T00:00:00.5.5Z", "2019-10-01T00:00.5Z",
    ],
)  # fmt: skip
def test_bad_event_times(value: Any) -> None:
    assert reasons(event_time=value) == ["bad_event_time"]


def test_an_event_may_be_a_day_ahead_of_its_ingestion_and_no_more() -> None:
    tomorrow = NOW + timedelta(days=1)
    assert reasons(event_time=tomorrow.isoformat()) == []
    assert reasons(event_time=(tomorrow + timedelta(milliseconds=1)).isoformat()) == ["future_event_time"]
    assert validate(VALID | {"event_time": "2999-01-01 00:00:00 UTC"}) == ["future_event_time"]
    assert reasons(event_time="9999-12-31T23:59:59-01:00") == ["future_event_time"]


@pytest.mark.parametrize("value", [None, "", "VIEW", "view ", "wishlist", 1, ["view"]])
def test_bad_event_types(value: Any) -> None:
    assert reasons(event_type=value) == ["bad_event_type"]


@pytest.mark.parametrize("value", [1, 2**63 - 1, "1", "9223372036854775807", "007", " 1", "+1 "])
def test_ids(value: Any) -> None:
    assert parse_id(value) == int(value)


@pytest.mark.parametrize(
    "value", [None, "", 0, -1, 2**63, str(2**63), "-1", "1.0", 1.0, True, "1_0", "\t1", "+ 1", "٣", [1]]
)
def test_bad_ids(value: Any) -> None:
    assert reasons(product_id=value) == ["bad_product_id"]
    assert reasons(user_id=value) == ["bad_user_id"]


@pytest.mark.parametrize("value", ["s", " ", "5", "x" * 128, "\N{GRINNING FACE}" * 128])
def test_user_sessions(value: Any) -> None:
    assert reasons(user_session=value) == []


@pytest.mark.parametrize("value", [None, "", "x" * 129, 5, ["s"]])
def test_bad_user_sessions(value: Any) -> None:
    assert reasons(user_session=value) == ["bad_user_session"]


@pytest.mark.parametrize("value", [0, 0.0, 2574.07, 10, "0.00", "35.79", "1e3", ".5", "5.", " 7 ", "+7"])
def test_prices(value: Any) -> None:
    assert parse_price(value) == float(value)


@pytest.mark.parametrize(
    "value",
    [
        None, "", -0.01, "-0.01", float("nan"), float("inf"), "NaN", "Infinity", "1e999", 10**400, True, "1,50", "1_0",
        "1d", "0x1p3", "7\n", "free", {},
    ],
)  # fmt: skip
def test_bad_prices(value: Any) -> None:
    assert reasons(price=value) == ["bad_price"]
