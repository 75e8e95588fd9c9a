"""From documents to typed tables of bounded size."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from bson.int64 import Int64

WRONG_TYPES = "wrong_types"

# The Python types that the values of a kind may have, as pymongo decodes BSON. bool is a type of its own here.
KINDS: dict[str, frozenset[type]] = {
    "string": frozenset({str}),
    "integer": frozenset({int, Int64}),
    "number": frozenset({float, int, Int64}),
    "boolean": frozenset({bool}),
    "date": frozenset({datetime}),
    "strings": frozenset({list}),
    "array": frozenset({list}),
    "object": frozenset({dict}),
}

# Nullable types: a 64-bit id keeps all its digits beside missing ones.
_DTYPES = {
    "string": "object",
    "integer": "Int64",
    "number": "Float64",
    "boolean": "boolean",
    "date": "datetime64[us, UTC]",
}
# So many rows Great Expectations looks at in one go: more are no quicker, and take more memory.
BATCH = 100_000


def column_names(columns: Mapping[str, str]) -> list[str]:
    """The columns that `to_frame` makes of declared fields, `wrong_types` not included."""
    names: list[str] = []
    for column, kind in columns.items():
        names += [column] if kind in _DTYPES else [f"{column}_length"]
        names += [f"{column}_ascending"] if kind == "strings" else []
    return names


def to_frame(documents: Iterable[Mapping[str, Any]], columns: Mapping[str, str]) -> pd.DataFrame:
    """Lay documents out as a table.

    Args:
        documents: As pymongo returns them, dates with time zone.
        columns: Kind of each field; a dotted name is a path into embedded documents.

    Returns:
        One row per document with the columns of `column_names` and `wrong_types`: the fields of the document that hold
        a value of another kind (or a number that is not finite), null where there are none. Such values are null in
        their own columns, as absent ones are.
    """
    return next(to_frames([list(documents)], columns))


def to_frames(chunks: Iterable[list[Any]], columns: Mapping[str, str]) -> Iterator[pd.DataFrame]:
    """Lay chunks of documents out as tables of about `BATCH` rows (see `to_frame`); at least one, if an empty one.

    Documents take several times as much memory as their rows, so each chunk is laid out at once.
    """
    gathered: list[pd.DataFrame] = []
    rows, tables = 0, 0
    for chunk in chunks:
        gathered.append(_chunk(chunk, columns))
        rows += len(chunk)
        if rows >= BATCH:
            yield _plain(pd.concat(gathered, ignore_index=True))
            gathered, rows, tables = [], 0, tables + 1
    if gathered or not tables:
        yield _plain(pd.concat(gathered or [_chunk([], columns)], ignore_index=True))


def _chunk(documents: list[Mapping[str, Any]], columns: Mapping[str, str]) -> pd.DataFrame:
    series: dict[str, pd.Series] = {}
    wrong: dict[int, list[str]] = {}
    for column, kind in columns.items():
        get = _getter(column)
        values = [get(document) for document in documents]
        for row in _unusable(values, kind):
            values[row] = None
            wrong.setdefault(row, []).append(column)
        if kind in _DTYPES:
            series[column] = pd.Series(values, dtype=_DTYPES[kind])
            continue
        series[f"{column}_length"] = _derive(values, len, "Int64")
        if kind == "strings":
            series[f"{column}_ascending"] = _derive(values, _ascending, "boolean")
    named = [", ".join(wrong[row]) if row in wrong else None for row in range(len(documents))]
    return pd.DataFrame(series | {WRONG_TYPES: pd.Series(named, dtype="object")})


def _plain(frame: pd.DataFrame) -> pd.DataFrame:
    """Give columns that need no nullable type a plain one: Great Expectations is many times quicker with those."""
    types: dict[str, str] = {}
    for column, dtype in frame.dtypes.items():
        if dtype == "Float64":
            types[str(column)] = "float64"  # there is no other NaN in it than a missing value
        elif dtype == "Int64" and not frame[column].hasnans:
            types[str(column)] = "int64"
    return frame.astype(types)


def _getter(column: str) -> Callable[[Mapping[str, Any]], Any]:
    if "." not in column:
        return lambda document: document.get(column)
    path = column.split(".")

    def get(document: Any) -> Any:
        for step in path:
            document = document.get(step) if isinstance(document, Mapping) else None
        return document

    return get


def _unusable(values: list[Any], kind: str) -> list[int]:
    """Rows whose value is neither missing nor of the kind."""
    allowed = KINDS[kind] | {type(None)}
    rows = set()
    # Nearly always every value is fine, and the set of types is known far sooner than each value's.
    if set(map(type, values)) - allowed:
        rows = {row for row, value in enumerate(values) if type(value) not in allowed}
    if kind == "number":
        numbers = np.array([0.0 if value is None or row in rows else value for row, value in enumerate(values)], float)
        rows |= set(np.flatnonzero(~np.isfinite(numbers)).tolist())
    if kind == "strings":
        rows |= {row for row, value in enumerate(values) if isinstance(value, list) and set(map(type, value)) - {str}}
    return sorted(rows)


def _derive(values: list[Any], figure: Callable[[Any], Any], dtype: str) -> pd.Series:
    return pd.Series([None if value is None else figure(value) for value in values], dtype=dtype)


def _ascending(texts: list[str]) -> bool:
    return all(first < second for first, second in pairwise(texts))
