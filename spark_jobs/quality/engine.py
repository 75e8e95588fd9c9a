"""Running suites with Great Expectations.

Importing it takes seconds, so it is imported when the first engine is made and not with this module.
"""

from __future__ import annotations

import difflib
import importlib
import logging
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any

import pandas as pd

from spark_jobs.quality.outcome import OFFENDERS, Finding, Severity
from spark_jobs.quality.rules import rule_columns
from spark_jobs.quality.suites import ExpectationSpec, Suite, SuiteError

# Offenders come as row numbers: asked for `_id`s, it builds a dictionary for each of 100,000 offenders to show ten.
_RESULT_FORMAT = {"result_format": "SUMMARY", "partial_unexpected_count": OFFENDERS}
_FIGURES = ("element_count", "unexpected_count", "unexpected_percent", "observed_value")
_SHOWN_CHARACTERS = 200


class Engine:
    """A Great Expectations project of one run, in a folder of its own.

    Args:
        folder: An empty folder for the project's files, which nobody needs afterwards.
        run_name: Shown in the Data Docs.
    """

    def __init__(self, folder: Path, run_name: str) -> None:
        self._gx = _great_expectations()
        self._context = self._gx.get_context(mode="file", project_root_dir=folder)
        self._context.variables.progress_bars = {"globally": False}
        self._source = self._context.data_sources.add_pandas("mongodb")
        # Without the time it would try to read one from the name.
        identifiers = importlib.import_module("great_expectations.core.run_identifier")
        self._run_id = identifiers.RunIdentifier(run_name=run_name, run_time=datetime.now(UTC))
        self.docs_folder = folder / "gx" / "uncommitted" / "data_docs" / "local_site"

    def check(self, suite: Suite) -> None:
        """Make sure that every expectation of a suite can be used, whether or not there is something to validate.

        Raises:
            SuiteError: Great Expectations does not know one, or not with these arguments.
        """
        for spec in suite.expectations:
            _expectation(spec, suite.path.name)

    def validate(self, suite: Suite, frame: pd.DataFrame) -> list[Finding]:
        """Evaluate every expectation of a suite.

        Args:
            suite: What to expect.
            frame: The documents as `frames.to_frame` lays them out, with the suite's rules (`rules.add_rules`).

        Returns:
            One finding per expectation that does not hold, the critical ones first. An expectation that could not be
            evaluated is critical whatever its severity.

        Raises:
            SuiteError: As `check`.
        """
        expectations = [_expectation(spec, suite.path.name) for spec in suite.expectations]
        prepared = self._context.suites.add(self._gx.ExpectationSuite(name=suite.name, expectations=expectations))
        asset = self._source.add_dataframe_asset(suite.name)
        definition = self._context.validation_definitions.add(
            self._gx.ValidationDefinition(
                name=suite.name, data=asset.add_batch_definition_whole_dataframe("newest"), suite=prepared
            )
        )
        outcome = definition.run(
            batch_parameters={"dataframe": lean(frame, suite)}, result_format=_RESULT_FORMAT, run_id=self._run_id
        )
        specs = {spec.key: spec for spec in suite.expectations}
        findings = [
            _finding(specs[result.expectation_config.meta["key"]], result, suite, frame)
            for result in outcome.results
            if not result.success
        ]
        order = list(specs)
        return sorted(findings, key=lambda found: (found.severity != "critical", order.index(found.expectation)))

    def build_docs(self) -> Path:
        """Render the Data Docs of everything validated so far; returns the folder of the site."""
        self._context.build_data_docs()
        return self.docs_folder


def lean(frame: pd.DataFrame, suite: Suite) -> pd.DataFrame:
    """The columns a suite's expectations name, in the types that are cheapest to copy.

    Great Expectations copies all columns for nearly every expectation, and text is by far the slowest: as categories it
    takes half the time in all. Columns compared with each other stay text; categories can only be compared with values.
    """
    named = dict.fromkeys(chain.from_iterable(spec.columns for spec in suite.expectations))
    compared = {spec.kwargs.get(side) for spec in suite.expectations for side in ("column_A", "column_B")}
    kept = frame[["_id", *(column for column in named if column != "_id")]]
    texts = [column for column, dtype in kept.dtypes.items() if dtype == "object" and column not in compared]
    repeated = [text for text in texts if kept[text].nunique() * 10 < len(kept)]
    return kept.astype(dict.fromkeys(repeated, "category"))


def _great_expectations() -> Any:
    # Read when the library is imported: no usage statistics leave the machine.
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    # It tells of every step it takes.
    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    return importlib.import_module("great_expectations")


def _expectation(spec: ExpectationSpec, file: str) -> Any:
    registry = importlib.import_module("great_expectations.expectations.registry")
    known = registry.list_registered_expectation_implementations()
    if spec.type not in known:
        close = difflib.get_close_matches(spec.type, known, n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise SuiteError(f"{file}: {spec.key}: Great Expectations knows no expectation {spec.type!r}{hint}")
    try:
        # The Data Docs show notes, but no severity.
        return registry.get_expectation_impl(spec.type)(
            **spec.kwargs, severity=spec.severity, notes=f"{spec.severity}: {spec.notes}", meta={"key": spec.key}
        )
    except (TypeError, ValueError) as error:
        reason = "; ".join(line.strip() for line in str(error).splitlines()[1:]) or str(error)
        raise SuiteError(f"{file}: {spec.key}: arguments are not accepted: {reason}") from None


def _finding(spec: ExpectationSpec, result: Any, suite: Suite, frame: pd.DataFrame) -> Finding:
    found: Mapping[str, Any] = result.result
    if not found:
        reason = _exception(result.exception_info)
        return Finding(spec.key, "critical", spec.notes, f"could not be evaluated: {reason}")
    rows = list(found.get("partial_unexpected_index_list") or [])[:OFFENDERS]
    columns = _shown_columns(spec, suite)
    offenders = frame.loc[rows, ["_id", *columns]].to_dict("records")
    severity: Severity = "warning" if spec.severity == "warning" else "critical"
    return Finding(
        expectation=spec.key,
        severity=severity,
        notes=spec.notes,
        observed=_observed(found),
        figures={name: _plain(found[name]) for name in _FIGURES if found.get(name) is not None},
        offending_ids=[_plain(offender["_id"]) for offender in offenders],
        offending_values=[
            ", ".join(f"{column}={offender[column]}" for column in columns)[:_SHOWN_CHARACTERS]
            for offender in offenders
        ],
    )


def _shown_columns(spec: ExpectationSpec, suite: Suite) -> list[str]:
    """The columns that show why a document offends: of a rule not its false, but what the rule looked at."""
    rules = suite.rules
    named = (sorted(rule_columns(rules[column])) if column in rules else [column] for column in spec.columns)
    return [column for column in dict.fromkeys(chain.from_iterable(named)) if column != "_id"]


def _observed(found: Mapping[str, Any]) -> str:
    if "unexpected_count" not in found:
        return f"observed {found.get('observed_value')}"
    count, documents = found["unexpected_count"], found["element_count"]
    return f"{count:,} of {documents:,} documents ({100 * count / documents:.4g} %)"


def _exception(info: Mapping[str, Any]) -> str:
    details = [info] if "exception_message" in info else list(info.values())
    messages = [str(detail.get("exception_message")) for detail in details if isinstance(detail, Mapping)]
    return messages[0].splitlines()[0][:_SHOWN_CHARACTERS] if messages else "no reason given"


def _plain(value: Any) -> Any:
    """A value MongoDB and JSON can hold."""
    if hasattr(value, "item"):
        value = value.item()
    return value if isinstance(value, str | int | float | bool) else str(value)
