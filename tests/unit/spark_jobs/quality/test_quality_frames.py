"""Documents as tables, and the rules over them."""

from datetime import UTC, datetime
from typing import Any

import pandas as pd
import pytest
from bson.int64 import Int64

from spark_jobs.quality import frames
from spark_jobs.quality.frames import column_names, to_frame, to_frames
from spark_jobs.quality.rules import RuleError, add_rules, rule_columns

MOMENT = datetime(2019, 10, 1, tzinfo=UTC)
COLUMNS = {
    "_id": "string",
    "count": "integer",
    "price": "number",
    "open": "boolean",
    "at": "date",
    "names": "strings",
    "queries": "array",
    "offsets": "object",
    "metrics.auc": "number",
}
GOOD: dict[str, Any] = {
    "_id": "a",
    "count": Int64(2**62),
    "price": 1,
    "open": True,
    "at": MOMENT,
    "names": ["a", "b"],
    "queries": [{}, {}, {}],
    "offsets": {"0": 1},
    "metrics": {"auc": 0.5},
    "unread": "x",
}


def test_columns_and_types() -> None:
    frame = to_frame([GOOD, GOOD], COLUMNS)
    assert list(frame) == [*column_names(COLUMNS), "wrong_types"]
    assert frame.dtypes.astype(str).to_dict() == {
        "_id": "object",
        "count": "int64",
        "price": "float64",
        "open": "boolean",
        "at": "datetime64[us, UTC]",
        "names_length": "int64",
        "names_ascending": "boolean",
        "queries_length": "int64",
        "offsets_length": "int64",
        "metrics.auc": "float64",
        "wrong_types": "object",
    }
    row = frame.iloc[0]
    assert (row["count"], row["at"], row["names_length"], row["queries_length"]) == (2**62, MOMENT, 2, 3)
    assert row["names_ascending"]
    assert frame["wrong_types"].isna().all()


def test_missing_values_are_null_and_keep_their_neighbours_exact() -> None:
    frame = to_frame([GOOD, {"_id": "b", "metrics": 3}], COLUMNS)
    assert frame["count"].tolist() == [2**62, pd.NA]
    assert frame.drop(columns=["_id", "wrong_types"]).iloc[1].isna().all()
    assert frame["wrong_types"].tolist() == [None, None]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("count", 1.0),
        ("count", True),
        ("count", "1"),
        ("price", "1"),
        ("price", float("nan")),
        ("price", float("inf")),
        ("open", 1),
        ("at", "2019-10-01"),
        ("names", "ab"),
        ("names", ["a", None]),
        ("queries", {}),
        ("offsets", []),
        ("_id", 7),
    ],
)
def test_a_value_of_another_kind_is_named_and_becomes_null(field: str, value: object) -> None:
    frame = to_frame([GOOD, GOOD | {field: value}], COLUMNS)
    assert frame["wrong_types"].tolist() == [None, field]
    column = field if field in frame else f"{field}_length"
    assert frame[column].isna().tolist() == [False, True]


def test_all_wrong_fields_of_a_document_are_named() -> None:
    frame = to_frame([GOOD | {"price": "1", "open": "yes"}], COLUMNS)
    assert frame["wrong_types"].tolist() == ["price, open"]


def test_names_that_repeat_or_go_back_are_not_ascending() -> None:
    lists: tuple[list[str], ...] = ([], ["a"], ["a", "b"], ["b", "a"], ["a", "a"])
    frame = to_frame([{"names": names} for names in lists], {"names": "strings"})
    assert frame["names_ascending"].tolist() == [True, True, True, False, False]


def test_chunks_are_joined_to_tables_of_bounded_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "BATCH", 6)
    documents = [{"_id": str(n), "count": n if n != 4 else None} for n in range(10)]
    chunks = [documents[start : start + 3] for start in range(0, 10, 3)]
    tables = list(to_frames(chunks, {"_id": "string", "count": "integer"}))
    assert [table["count"].tolist() for table in tables] == [[0, 1, 2, 3, pd.NA, 5], [6, 7, 8, 9]]
    assert [table.index.tolist() for table in tables] == [list(range(6)), list(range(4))]


def test_no_chunks_are_one_empty_table() -> None:
    (table,) = to_frames([], {"_id": "string"})
    assert table.empty


def test_no_documents_have_all_columns() -> None:
    assert list(to_frame([], COLUMNS)) == [*column_names(COLUMNS), "wrong_types"]


def test_a_rule_is_true_false_or_null_where_it_cannot_be_told() -> None:
    documents: list[dict[str, Any]] = [{"a": 1, "b": True}, {"a": 0, "b": True}, {"a": None, "b": True}, {"a": 1}]
    frame = add_rules(to_frame(documents, {"a": "integer", "b": "boolean"}), {"fits": "b == (a > 0)"})
    assert frame["fits"].tolist() == [True, False, pd.NA, pd.NA]


def test_rules_know_dates_and_texts() -> None:
    documents: list[dict[str, Any]] = [
        {"start": MOMENT, "end": MOMENT.replace(minute=5), "kind": "x"},
        {"start": MOMENT, "kind": "x"},
    ]
    frame = to_frame(documents, {"start": "date", "end": "date", "kind": "string"})
    rules = {"five": 'kind == "x" and (end - start).dt.total_seconds() == 300', "hour": "start.dt.hour == 0"}
    frame = add_rules(frame, rules)
    assert frame["five"].tolist() == [True, pd.NA]
    assert frame["hour"].tolist() == [True, True]


def test_rule_columns_leaves_functions_out() -> None:
    assert rule_columns("abs(a - b) < 0.01 and c.dt.hour == 1") == {"a", "b", "c"}


def test_a_rule_that_cannot_be_evaluated_is_named() -> None:
    frame = to_frame([{"a": "x"}], {"a": "string"})
    with pytest.raises(RuleError, match="rule odd: 'a > 1' cannot be evaluated"):
        add_rules(frame, {"odd": "a > 1"})
