"""Expectation suites: Great Expectations' own JSON format, plus what tells how to read the collection.

A suite file has `name` (the collection), `expectations` and `meta`:

* `meta.notes`: what the collection is, in a sentence.
* `meta.columns`: every field the suite looks at and its kind (see `frames.KINDS`); nothing else is read from MongoDB. A
  dotted name is a path into an embedded document. An array or embedded document has no column of its own: it becomes
  `<name>_length`, and an array of strings also `<name>_ascending` (sorted and without repetition).
* `meta.rules`: true/false columns by name, each an expression over the columns (see `rules`).
* `meta.references`: true/false columns by name: whether another collection has a document with that `_id`.
* `meta.figures`: numbers about all checked documents, and how they differ from before (see `figures`).
* `meta.window`: how new documents are told from those that were checked before (see `windows`).

The column `wrong_types` is always there: the names of the fields of a document whose value is not of its kind; in their
columns those values are null. Every expectation has `meta.severity` (`critical` or `warning`) and `meta.notes` (what
a failure means and what to do about it).
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from spark_jobs.config import REPOSITORY
from spark_jobs.quality.figures import FigureSpec, parse_figures
from spark_jobs.quality.frames import KINDS, WRONG_TYPES, column_names
from spark_jobs.quality.references import Reference, parse_references
from spark_jobs.quality.rules import RuleError, rule_columns
from spark_jobs.quality.windows import Window, parse_window

SUITES_FOLDER = REPOSITORY / "expectations"

# Listed here so that a suite whose file disappears is missed.
COLLECTIONS = (
    "enriched_events",
    "event_aggregations",
    "user_session_analytics",
    "conversion_funnel",
    "user_feature_engineering",
    "customer_segments",
    "churn_predictions",
    "product_recommendations",
    "time_series_analysis",
    "statistical_analysis",
    "journey_metrics",
    "products",
    "users",
    "dead_letter_events",
    "model_runs",
    "data_quality_results",
    "stream_health",
)

SEVERITIES = ("critical", "warning")

Part = TypeVar("Part")

_COLUMN_ARGUMENTS = ("column", "column_A", "column_B")
_CONDITION_COLUMN = re.compile(r"""col\(["']([^"']+)["']\)""")


class SuiteError(Exception):
    """A suite that cannot be used as it is; the message names the file and, where there is one, the expectation."""


@dataclass(frozen=True)
class ExpectationSpec:
    """One expectation of a suite file.

    Attributes:
        key: Identifies the expectation within its suite, for people and for its history:
            `type:column`, with the row condition in brackets, and `#2` for a second of the same.
        type: Great Expectations' name of it.
        kwargs: Its arguments.
        severity: `critical` or `warning`.
        notes: What a failure means and what to do.
    """

    key: str
    type: str
    kwargs: dict[str, Any]
    severity: str
    notes: str

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns its arguments name, row condition included."""
        return _columns(self.kwargs)


@dataclass(frozen=True)
class Suite:
    """A suite file that was understood; the module's docstring describes the parts."""

    name: str
    path: Path
    notes: str
    columns: dict[str, str]
    rules: dict[str, str]
    expectations: tuple[ExpectationSpec, ...]
    references: dict[str, Reference] = field(default_factory=dict)
    figures: dict[str, FigureSpec] = field(default_factory=dict)
    window: Window | None = None

    @property
    def of_documents(self) -> tuple[ExpectationSpec, ...]:
        """The expectations of each document."""
        return tuple(spec for spec in self.expectations if not set(spec.columns) & set(self.figures))

    @property
    def of_figures(self) -> tuple[ExpectationSpec, ...]:
        """The expectations of figures."""
        return tuple(spec for spec in self.expectations if set(spec.columns) & set(self.figures))


def load_suite(collection: str, folder: Path = SUITES_FOLDER) -> Suite:
    """Read and check the suite of a collection, without Great Expectations.

    Raises:
        SuiteError: The file is missing, is no JSON, or says something that has no meaning.
    """
    path = folder / f"{collection}.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SuiteError(f"{path.name}: there is no such file in {folder}") from None
    except json.JSONDecodeError as error:
        raise SuiteError(f"{path.name}: line {error.lineno} is not JSON ({error.msg})") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SuiteError(f"{path.name}: cannot be read ({error})") from None
    where = path.name
    _check_keys(content, {"name", "meta", "expectations"}, {"name", "meta", "expectations"}, where)
    if content["name"] != collection:
        raise SuiteError(f"{where}: name is {content['name']!r}, not {collection!r}")
    meta, columns, rules = _meta(content["meta"], where)
    references = _part(parse_references, meta, "references", columns, where)
    figures = _part(parse_figures, meta, "figures", columns, where)
    try:
        window = parse_window(meta.get("window"))
    except ValueError as error:
        raise SuiteError(f"{where}: meta.window {error}") from None
    if window and window.field and columns.get(window.field) != "date":
        raise SuiteError(f"{where}: meta.window.field {window.field} is not among meta.columns as a date")
    of_documents = {*column_names(columns), *rules, *references, WRONG_TYPES}
    expectations = tuple(_expectations(content["expectations"], of_documents, set(figures), where))
    return Suite(collection, path, meta["notes"], columns, rules, expectations, references, figures, window)


def _part(
    parse: Callable[[Any, Mapping[str, str]], dict[str, Part]],
    meta: Mapping[str, Any],
    name: str,
    columns: Mapping[str, str],
    where: str,
) -> dict[str, Part]:
    try:
        return parse(meta.get(name, {}), columns)
    except ValueError as error:
        raise SuiteError(f"{where}: meta.{name}{error}") from None


def _meta(meta: Any, where: str) -> tuple[Mapping[str, Any], dict[str, str], dict[str, str]]:
    allowed = {"notes", "columns", "rules", "references", "figures", "window"}
    _check_keys(meta, {"notes", "columns"}, allowed, f"{where}: meta")
    columns, rules = meta["columns"], meta.get("rules", {})
    for part, content in (("columns", columns), ("rules", rules)):
        if not isinstance(content, dict) or not all(isinstance(value, str) for value in content.values()):
            raise SuiteError(f"{where}: meta.{part} is not an object of texts")
    if "_id" not in columns:
        raise SuiteError(f"{where}: meta.columns lacks _id, by which offending documents are named")
    for column, kind in columns.items():
        if kind not in KINDS:
            raise SuiteError(f"{where}: meta.columns.{column} is {kind!r}; known kinds are {', '.join(KINDS)}")
    names = set(column_names(columns))
    for name, rule in rules.items():
        try:
            unknown = rule_columns(rule) - names
        except RuleError as error:
            raise SuiteError(f"{where}: meta.rules.{name}: {error}") from None
        if unknown:
            raise SuiteError(f"{where}: meta.rules.{name} uses {_listed(unknown)}, which meta.columns does not have")
    return meta, columns, rules


def _expectations(content: Any, of_documents: set[str], of_figures: set[str], where: str) -> Iterator[ExpectationSpec]:
    if not isinstance(content, list) or not content:
        raise SuiteError(f"{where}: expectations is not a list with at least one expectation")
    seen: Counter[str] = Counter()
    for number, item in enumerate(content, start=1):
        place = f"{where}: expectation {number}"
        _check_keys(item, {"type", "kwargs", "meta"}, {"type", "kwargs", "meta"}, place)
        place = f"{place} ({item['type']})"
        kwargs, meta = item["kwargs"], item["meta"]
        if not isinstance(kwargs, dict):
            raise SuiteError(f"{place}: kwargs is not an object")
        _check_keys(meta, {"severity", "notes"}, {"severity", "notes"}, f"{place}: meta")
        if meta["severity"] not in SEVERITIES:
            raise SuiteError(f"{place}: meta.severity is {meta['severity']!r}, not one of {', '.join(SEVERITIES)}")
        if not isinstance(meta["notes"], str) or not meta["notes"].strip():
            raise SuiteError(f"{place}: meta.notes is not a sentence")
        used = set(_columns(kwargs))
        if unknown := used - of_documents - of_figures:
            raise SuiteError(f"{place}: uses {_listed(unknown)}, which is no column, rule, reference or figure in meta")
        if used & of_documents and used & of_figures:
            raise SuiteError(f"{place}: uses figures and columns of documents together ({_listed(used)})")
        key = _key(item["type"], kwargs)
        seen[key] += 1
        if seen[key] > 1:
            key = f"{key}#{seen[key]}"
        yield ExpectationSpec(key, item["type"], kwargs, meta["severity"], meta["notes"])


def _check_keys(content: Any, required: set[str], allowed: set[str], place: str) -> None:
    if not isinstance(content, dict):
        raise SuiteError(f"{place}: is not a JSON object")
    if missing := required - set(content):
        raise SuiteError(f"{place}: lacks {_listed(missing)}")
    if unknown := set(content) - allowed:
        raise SuiteError(f"{place}: has {_listed(unknown)}, which means nothing here (known: {_listed(allowed)})")


def _columns(kwargs: Mapping[str, Any]) -> tuple[str, ...]:
    named = [kwargs[argument] for argument in _COLUMN_ARGUMENTS if argument in kwargs]
    conditioned = _CONDITION_COLUMN.findall(str(kwargs.get("row_condition", "")))
    return tuple(str(column) for column in (*named, *kwargs.get("column_list", ()), *conditioned))


def _key(expectation: Any, kwargs: Mapping[str, Any]) -> str:
    without_condition = {name: value for name, value in kwargs.items() if name != "row_condition"}
    key = f"{expectation}:{','.join(_columns(without_condition))}".rstrip(":")
    return f"{key}[{kwargs['row_condition']}]" if "row_condition" in kwargs else key


def _listed(names: set[str]) -> str:
    return ", ".join(sorted(names))
