"""Kafka record -> typed event, with every reason why it is not a valid one."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import StringType, StructField, StructType

EVENT_TYPES = ("view", "cart", "remove_from_cart", "purchase")
MAX_ID_LENGTH = 128

# Everything is read as text first: a number in quotes is fine, and a value that does not convert costs only itself.
_FIELDS = (
    "event_id",
    "event_time",
    "event_type",
    "product_id",
    "category_id",
    "category_code",
    "brand",
    "price",
    "user_id",
    "user_session",
)
# Text that is no JSON object goes here, whole.
_CORRUPT = "_corrupt_record"
_JSON = {"columnNameOfCorruptRecord": _CORRUPT, "allowSingleQuotes": "false"}
_RECORD = StructType([StructField(name, StringType()) for name in (*_FIELDS, _CORRUPT)])

_TIME = r"^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?( ?(UTC|Z|[+-]\d{2}:?\d{2}))?$"
_WHOLE_NUMBER = r"^\+?\d{1,19}$"


def parse(records: DataFrame) -> DataFrame:
    """Parse Kafka records.

    Args:
        records: The columns of Spark's Kafka source; `value`, `topic`, `partition`, `offset`, `timestamp` are used.

    Returns:
        One row per record: `_id` (the producer's `event_id`, else `topic-partition-offset`), `record_id`
        (`topic-partition-offset`), `kafka_partition`, `kafka_offset`, `kafka_timestamp`, the event's own fields
        (`event_time` as received, `event_timestamp` UTC, ids as long, `price` as double, text fields null when empty),
        `reasons` (empty for a valid event) and `raw` (the record's text, only where it is not valid).
    """
    text = F.col("value").cast("string")
    extracted = records.select(
        F.concat_ws("-", "topic", "partition", "offset").alias("record_id"),
        F.col("partition").alias("kafka_partition"),
        F.col("offset").alias("kafka_offset"),
        F.col("timestamp").alias("kafka_timestamp"),
        text.alias("raw"),
        F.from_json(text, _RECORD, _JSON).alias("record"),
    )
    typed = extracted.select(
        "record_id",
        "kafka_partition",
        "kafka_offset",
        "kafka_timestamp",
        "raw",
        # from_json also takes the first element of an array.
        (F.col("record").isNotNull() & F.col(f"record.{_CORRUPT}").isNull() & F.ltrim("raw").startswith("{")).alias(
            "is_object"
        ),
        _text("event_id").alias("event_id"),
        F.col("record.event_time").alias("event_time"),
        _timestamp(F.col("record.event_time")).alias("event_timestamp"),
        F.col("record.event_type").alias("event_type"),
        _whole_number("product_id").alias("product_id"),
        _whole_number("category_id").alias("category_id"),
        _text("category_code").alias("category_code"),
        _text("brand").alias("brand"),
        F.expr("try_cast(record.price AS double)").alias("price"),
        _whole_number("user_id").alias("user_id"),
        F.col("record.user_session").alias("user_session"),
    )
    return typed.withColumn("reasons", _reasons()).select(
        F.when(F.length("event_id") <= MAX_ID_LENGTH, F.col("event_id")).otherwise(F.col("record_id")).alias("_id"),
        *[name for name in typed.columns if name not in ("is_object", "raw")],
        "reasons",
        F.when(F.size("reasons") > 0, F.col("raw")).alias("raw"),
    )


def _text(field: str) -> Column:
    return F.nullif(F.trim(F.col(f"record.{field}")), F.lit(""))


def _whole_number(field: str) -> Column:
    text = F.trim(F.col(f"record.{field}"))
    return F.when(text.rlike(_WHOLE_NUMBER), F.expr(f"try_cast(trim(record.{field}) AS bigint)"))


def _timestamp(text: Column) -> Column:
    """Read "2019-10-01 00:00:00 UTC" and ISO 8601; a time without a zone is UTC. Null where it is neither."""
    iso = F.regexp_replace(F.trim(text), r" ?UTC$", "Z")
    moment = F.when(F.trim(text).rlike(_TIME), iso.try_cast("timestamp"))
    # MongoDB keeps milliseconds; finer time would make a visit's stored bounds differ from its events.
    return F.date_trunc("millisecond", moment)


def _reasons() -> Column:
    """List the rules of the contract that the record breaks; codes are stable, people group by them."""
    session_length = F.length(F.trim("user_session"))
    rules = [
        (F.col("event_timestamp").isNotNull(), "bad_event_time"),
        # The record's Kafka timestamp is its ingestion time: unlike the clock it is the same when a batch is repeated.
        (
            F.coalesce(F.col("event_timestamp") <= F.col("kafka_timestamp") + F.expr("INTERVAL 1 DAY"), F.lit(True)),
            "future_event_time",
        ),
        (F.col("event_type").isin(*EVENT_TYPES), "bad_event_type"),
        (F.col("product_id") > 0, "bad_product_id"),
        (F.col("user_id") > 0, "bad_user_id"),
        ((session_length > 0) & (F.length("user_session") <= MAX_ID_LENGTH), "bad_user_session"),
        ((F.col("price") >= 0) & (F.col("price") < F.lit(float("inf"))), "bad_price"),
    ]
    broken = [F.when(~F.coalesce(holds, F.lit(False)), F.lit(code)) for holds, code in rules]
    return F.when(~F.col("is_object"), F.array(F.lit("not_json_object"))).otherwise(F.array_compact(F.array(*broken)))
