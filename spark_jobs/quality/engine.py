"""Running suites with Great Expectations.

Importing it takes seconds, so it is imported when the first engine is made and not with this module.
"""

from __future__ import annotations

import difflib
import importlib
import logging
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any

import pandas as pd

from spark_jobs.quality.figures import Figure
from spark_jobs.quality.outcome import OFFENDERS, Finding
from spark_jobs.quality.rules import rule_columns
from spark_jobs.quality.suites import ExpectationSpec, Suite, SuiteError
from spark_jobs.quality.tally import Tally, figure_finding

# Offenders come as row numbers: asked for `_id`s, it builds a dictionary for each of 100,000 offenders to show ten.
_RESULT_FORMAT = {"result_format": "SUMMARY", "partial_unexpected_count": OFFENDERS}


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
        self._definitions: dict[str, Any] = {}
        # Without the time it would try to read one from the name.
        identifiers = importlib.import_module("great_expectations.core.run_identifier")
        self._run_id = identifiers.RunIdentifier(run_name=run_name, run_time=datetime.now(UTC))
        self.docs_folder = folder / "gx" / "uncommitted" / "data_docs" / "local_site"

    def check(self, suite: Suite) -> None:
        """Make sure that every expectation of a suite can be used, whether or not there is something to validate.

        Raises:
            SuiteError: Great Expectations does not know one, or not with these arguments; or one about documents cannot
                be told from one document at a time.
        """
        for spec in suite.expectations:
            expectation = _expectation(spec, suite.path.name)
            if spec in suite.of_documents and not isinstance(expectation, _one_by_one()):
                raise SuiteError(
                    f"{suite.path.name}: {spec.key}: {spec.type} looks at all documents at once, which can be many; "
                    "expect something of a figure (meta.figures) instead"
                )

    def judging(self, suite: Suite) -> Judging:
        """Begin to evaluate a suite.

        Raises:
            SuiteError: As `check`.
        """
        self.check(suite)
        return Judging(self, suite)

    def run(self, name: str, specs: Sequence[ExpectationSpec], file: str, frame: pd.DataFrame) -> Any:
        """Evaluate expectations over a table; returns Great Expectations' result of the suite."""
        expectations = [_expectation(spec, file) for spec in specs]
        suite = self._gx.ExpectationSuite(name=name, expectations=expectations)
        if name not in self._definitions:
            asset = self._source.add_dataframe_asset(name)
            self._definitions[name] = asset.add_batch_definition_whole_dataframe("newest")
        batch = self._definitions[name].get_batch(batch_parameters={"dataframe": frame})
        return batch.validate(suite, result_format=_RESULT_FORMAT)

    def keep(self, suite: Suite, results: list[Any], outcome: Any) -> None:
        """Store what the Data Docs show of a suite.

        Args:
            suite: The suite.
            results: Results of its expectations, over all batches.
            outcome: The result of one batch, which tells what was validated.
        """
        identifiers = importlib.import_module("great_expectations.data_context.types.resource_identifiers")
        expectations = [_expectation(spec, suite.path.name) for spec in suite.expectations]
        self._context.suites.add(self._gx.ExpectationSuite(name=suite.name, expectations=expectations))
        statistics = importlib.import_module("great_expectations.validator.validator").calc_validation_statistics(
            results
        )
        outcome.results, outcome.success, outcome.suite_name = results, statistics.success, suite.name
        outcome.statistics = statistics._asdict()
        outcome.meta |= {"run_id": self._run_id, "validation_time": self._run_id.run_time}
        suite_identifier = identifiers.ExpectationSuiteIdentifier(name=suite.name)
        self._context.validation_results_store.store_validation_results(
            suite_validation_result=outcome,
            suite_validation_result_identifier=identifiers.ValidationResultIdentifier(
                batch_identifier=outcome.batch_id, expectation_suite_identifier=suite_identifier, run_id=self._run_id
            ),
            expectation_suite_identifier=suite_identifier,
        )

    def build_docs(self) -> Path:
        """Render the Data Docs of everything validated so far; returns the folder of the site."""
        self._context.build_data_docs()
        return self.docs_folder


class Judging:
    """A suite that is being evaluated, batch by batch.

    Args:
        engine: Evaluates.
        suite: What to expect.
    """

    def __init__(self, engine: Engine, suite: Suite) -> None:
        self._engine = engine
        self._suite = suite
        self._tallies = {spec.key: Tally(spec, _shown_columns(spec, suite)) for spec in suite.of_documents}
        self._about_figures: dict[str, Any] = {}
        self._figures: Mapping[str, Figure] = {}
        self._outcome: Any = None

    def batch(self, frame: pd.DataFrame) -> None:
        """Evaluate the expectations of documents over a batch.

        Args:
            frame: Documents as `frames.to_frame` lays them out, with the columns of rules and references.
        """
        suite = self._suite
        outcome = self._engine.run(suite.name, suite.of_documents, suite.path.name, lean(frame, suite))
        self._outcome = self._outcome or outcome
        for result in outcome.results:
            self._tallies[_key(result)].add(result, frame)

    def figures(self, figures: Mapping[str, Figure]) -> None:
        """Evaluate the expectations of figures; one that is null is not judged."""
        self._figures = figures
        if specs := self._suite.of_figures:
            row = pd.DataFrame({name: [one.value] for name, one in figures.items()}, dtype="float64")
            outcome = self._engine.run(f"{self._suite.name} figures", specs, self._suite.path.name, row)
            self._outcome = self._outcome or outcome
            self._about_figures = {_key(result): result for result in outcome.results}

    def findings(self) -> list[Finding]:
        """What does not hold, the critical ones first; also hands the results to the Data Docs.

        An expectation that could not be evaluated is critical whatever its severity.
        """
        specs = {spec.key: spec for spec in self._suite.expectations}
        judged = [tally for tally in self._tallies.values() if tally.result is not None]
        found = [tally.finding() for tally in judged]
        found += [figure_finding(specs[key], one, self._figures) for key, one in self._about_figures.items()]
        if self._outcome is not None:
            results = [tally.merged() for tally in judged] + list(self._about_figures.values())
            self._engine.keep(self._suite, results, self._outcome)
        order = list(specs)
        findings = [one for one in found if one is not None]
        return sorted(findings, key=lambda one: (one.severity != "critical", order.index(one.expectation)))


def lean(frame: pd.DataFrame, suite: Suite) -> pd.DataFrame:
    """The columns a suite's expectations name, in the types that are cheapest to copy.

    Great Expectations copies all columns for nearly every expectation, and text is by far the slowest: as categories it
    takes half the time in all. Columns compared with each other stay text; categories can only be compared with values.
    """
    named = dict.fromkeys(chain.from_iterable(spec.columns for spec in suite.of_documents))
    compared = {spec.kwargs.get(side) for spec in suite.of_documents for side in ("column_A", "column_B")}
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


def _one_by_one() -> tuple[type, ...]:
    """The kinds of expectations that judge each document by itself, or against the others of its batch."""
    expectations = importlib.import_module("great_expectations.expectations.expectation")
    return (
        expectations.ColumnMapExpectation,
        expectations.ColumnPairMapExpectation,
        expectations.MulticolumnMapExpectation,
    )


def _key(result: Any) -> str:
    return str(result.expectation_config.meta["key"])


def _shown_columns(spec: ExpectationSpec, suite: Suite) -> list[str]:
    """The columns that show why a document offends: of a rule not its false, but what the rule looked at."""
    rules, references = suite.rules, suite.references
    looked_at = {name: [one.field] for name, one in references.items()}
    looked_at |= {name: sorted(rule_columns(rule)) for name, rule in rules.items()}
    named = (looked_at.get(column, [column]) for column in spec.columns)
    return [column for column in dict.fromkeys(chain.from_iterable(named)) if column != "_id"]
