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
# RFC 8259: by default Spark also takes 'quoted' text, NaN and Infinity.
_STRICT = {"allowSingleQuotes": "false", "allowNonNumericNumbers": "false"}
_JSON = {"columnNameOfCorruptRecord": _CORRUPT, **_STRICT}
_RECORD = StructType([StructField(name, StringType()) for name in (*_FIELDS, _CORRUPT)])
_BLANKS = " \t\r\n"

# \z, not $: a line feed may follow what $ matches.
_TIME = r"\A\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?( ?(UTC|Z|[+-]\d{2}(:?\d{2})?))?\z"
_WHOLE_NUMBER = r"\A\+?\d{1,19}\z"
_DECIMAL = r"\A[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?\z"
# What a JSON value that is no text looks like once it is read as text.
_LIKE_NO_TEXT = r"\A([\[{\"]|(true|false|-?\d+(\.\d+)?(E-?\d+)?)\z)"


def parse(records: DataFrame) -> DataFrame:
    """Parse Kafka records.

    Args:
        records: The columns of Spark's Kafka source; `value`, `topic`, `partition`, `offset`, `timestamp` are used.

    Returns:
        One row per record: `_id` (the producer's `event_id`, else `topic-partition-offset`), `record_id`
        (`topic-partition-offset`), `kafka_partition`, `kafka_offset`, `kafka_timestamp`, the event's own fields
        (`event_time` as received, `event_timestamp` UTC, ids as long, `price` as double, text null when it is empty or
        no JSON text), `reasons` (empty for a valid event) and `raw` (the record's text, only where it is not valid).
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
        _is_object().alias("is_object"),
        _text("event_id").alias("event_id"),
        F.col("record.event_time").alias("event_time"),
        _timestamp(F.col("record.event_time")).alias("event_timestamp"),
        F.col("record.event_type").alias("event_type"),
        _whole_number("product_id").alias("product_id"),
        _whole_number("category_id").alias("category_id"),
        _text("category_code").alias("category_code"),
        _text("brand").alias("brand"),
        _decimal("price").alias("price"),
        _whole_number("user_id").alias("user_id"),
        _text("user_session").alias("user_session"),
    )
    return typed.withColumn("reasons", _reasons()).select(
        F.when(F.length("event_id") <= MAX_ID_LENGTH, F.col("event_id")).otherwise(F.col("record_id")).alias("_id"),
        *[name for name in typed.columns if name not in ("is_object", "raw")],
        "reasons",
        F.when(F.size("reasons") > 0, F.col("raw")).alias("raw"),
    )


def _is_object() -> Column:
    """Tell whether the record is one JSON object in UTF-8 and nothing else."""
    raw = F.col("raw")
    # from_json also takes the first element of an array, replaces what is no UTF-8, and stops at the object's end.
    begins = raw.startswith("{") | raw.rlike(rf"\A[{_BLANKS}]+\{{")
    # Where the first closing brace is the last character nothing follows the object; bytes are searched several times
    # quicker than characters. Elsewhere the text has to be the first of two elements of an array, whose second one it
    # cannot contain by chance.
    before_last = F.substring(raw.cast("binary"), F.lit(1), F.octet_length(raw) - 1).cast("string")
    array = F.from_json(F.concat(F.lit("["), raw, F.lit(',"'), "record_id", F.lit('"]')), "ARRAY<STRING>", _STRICT)
    ends = F.when(raw.endswith("}") & ~before_last.contains("}"), F.lit(True)).otherwise(
        (F.size(array) == 2) & (F.element_at(array, 2) == F.col("record_id"))
    )
    parsed = F.col("record").isNotNull() & F.col(f"record.{_CORRUPT}").isNull()
    return F.coalesce(parsed & begins & F.is_valid_utf8(raw) & ends, F.lit(False))


def _text(field: str) -> Column:
    """Return the field where its value is JSON text; a number or an object read as text would pass for an id."""
    text = F.col(f"record.{field}")
    value = F.from_json("raw", f"{field} VARIANT", _STRICT)[field]
    known = (F.schema_of_variant(value) == "STRING") & (F.try_variant_get(value, "$", "string") == text)
    # The type is looked up only where the value may be of another one.
    is_text = F.when(text.rlike(_LIKE_NO_TEXT), F.coalesce(known, F.lit(False))).otherwise(F.lit(True))
    return F.when(is_text, F.nullif(text, F.lit("")))


def _whole_number(field: str) -> Column:
    text = F.trim(F.col(f"record.{field}"))
    return F.when(text.rlike(_WHOLE_NUMBER), F.expr(f"try_cast(trim(record.{field}) AS bigint)"))


def _decimal(field: str) -> Column:
    text = F.trim(F.col(f"record.{field}"))
    # The cast alone would also take "1d" and "0x1p3".
    return F.when(text.rlike(_DECIMAL), F.expr(f"try_cast(trim(record.{field}) AS double)"))


def _timestamp(text: Column) -> Column:
    """Read "2019-10-01 00:00:00 UTC" and ISO 8601; a time without a zone is UTC. Null where it is neither."""
    text = F.trim(text)
    # Spark reads no time of day without seconds before a zone.
    whole = F.when(F.substring(text, 17, 1) == ":", text).otherwise(
        F.concat(F.left(text, F.lit(16)), F.lit(":00"), F.substring(text, 17, 99))
    )
    moment = F.when(text.rlike(_TIME), whole.try_cast("timestamp"))
    # MongoDB keeps milliseconds; finer time would make a visit's stored bounds differ from its events.
    return F.date_trunc("millisecond", moment)


def _reasons() -> Column:
    """List the rules of the contract that the record breaks; codes are stable, people group by them."""
    rules = [
        # A stream's watermark never lies before 1970, and Python knows no time before year 1.
        (F.col("event_timestamp") > F.timestamp_seconds(F.lit(0)), "bad_event_time"),
        # The record's Kafka timestamp is its ingestion time: unlike the clock it is the same when a batch is repeated.
        (
            F.coalesce(F.col("event_timestamp") <= F.col("kafka_timestamp") + F.expr("INTERVAL 1 DAY"), F.lit(True)),
            "future_event_time",
        ),
        (F.col("event_type").isin(*EVENT_TYPES), "bad_event_type"),
        (F.col("product_id") > 0, "bad_product_id"),
        (F.col("user_id") > 0, "bad_user_id"),
        (F.length("user_session") <= MAX_ID_LENGTH, "bad_user_session"),
        ((F.col("price") >= 0) & (F.col("price") < F.lit(float("inf"))), "bad_price"),
    ]
    broken = [F.when(~F.coalesce(holds, F.lit(False)), F.lit(code)) for holds, code in rules]
    return F.when(~F.col("is_object"), F.array(F.lit("not_json_object"))).otherwise(F.array_compact(F.array(*broken)))
