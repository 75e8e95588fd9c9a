"""Any record, any moment: parsing and windows of the stream against `spark_jobs.audit`, on examples that shrink.

`test_fuzz_parse` and `test_window_assignment` try a fixed choice of many more; here it is Hypothesis that looks for
what nobody thought of.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession
from record_mutations import NAMES
from test_window_assignment import assert_groups_of_the_contract, groups_of

from spark_jobs.audit.validate import read_record, validate
from spark_jobs.streaming.parse import parse

INGESTED = datetime(2019, 10, 2, tzinfo=UTC)
RECORDS = "topic STRING, partition INT, offset LONG, timestamp TIMESTAMP, value BINARY"

# An example is a Spark job, so it is worth many records.
SPARK = settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
NUMBER = st.integers() | st.integers(1, 9) | st.floats()
LEAF = st.none() | st.booleans() | NUMBER | TEXT
VALUE = LEAF | NUMBER.map(str) | st.lists(LEAF, max_size=2) | st.dictionaries(TEXT, LEAF, max_size=2)
# From the day before 1970 to two days after the records arrive.
TIME = st.integers(-86_400_000, 1_570_147_200_000).map(
    lambda moment: datetime.fromtimestamp(moment / 1000, UTC).isoformat(timespec="milliseconds")
)
# What each field most likely has, so that most records have one fault or two and not ten.
USUAL: dict[str, st.SearchStrategy[Any]] = {
    "event_id": TEXT,
    "event_time": TIME | TIME.map(lambda text: text.removesuffix("+00:00")) | st.just("2019-10-01 00:00:00 UTC"),
    "event_type": st.sampled_from(["view", "cart", "remove_from_cart", "purchase"]),
    "product_id": st.integers(1, 2**63 - 1),
    "category_id": st.integers(1, 2**63 - 1),
    "category_code": TEXT,
    "brand": TEXT,
    "price": st.floats(0, 1e6),
    "user_id": st.integers(1, 2**63 - 1),
    "user_session": st.text("abc-", min_size=1, max_size=130),
}
FIELDS = {name: st.one_of(*[USUAL[name]] * 8, VALUE) for name in NAMES}
EVENT = st.fixed_dictionaries({}, optional=FIELDS) | st.fixed_dictionaries(FIELDS)
RECORD = st.one_of(
    *[EVENT.map(lambda one: json.dumps(one).encode())] * 6,
    EVENT.map(lambda one: json.dumps(one, ensure_ascii=False, indent=1).encode()),
    VALUE.map(lambda one: json.dumps(one).encode()),
    st.binary(max_size=30),
)
MOMENT = st.integers(0, 4_102_444_800_000) | st.integers(0, 2_000_000).map(lambda step: step * 300_000)


@SPARK
@given(values=st.lists(RECORD, min_size=1, max_size=60))
def test_any_record_is_judged_as_the_contract_says(spark: SparkSession, values: list[bytes]) -> None:
    rows = [("t", 0, offset, INGESTED, bytearray(value)) for offset, value in enumerate(values)]
    parsed = parse(spark.createDataFrame(rows, RECORDS)).select("kafka_offset", "reasons").collect()
    judged = {values[row["kafka_offset"]]: row["reasons"] for row in parsed}
    assert len(parsed) == len(values)
    assert judged == {value: validate(read_record(value), ingested_at=INGESTED) for value in values}


@SPARK
@given(moments=st.lists(MOMENT, min_size=1, max_size=60, unique=True))
def test_any_event_is_in_the_windows_of_the_contract(spark: SparkSession, moments: list[int]) -> None:
    assert_groups_of_the_contract(groups_of(spark, moments), moments)
