"""One expectation over many batches: Great Expectations judges each batch, and the counts are added up.

Only expectations that look at one document at a time can be added up; they are those that report `unexpected_count`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from spark_jobs.mongo import Document
from spark_jobs.quality.figures import Figure
from spark_jobs.quality.outcome import OFFENDERS, Finding, Severity
from spark_jobs.quality.suites import ExpectationSpec

_SUMMED = ("element_count", "missing_count", "unexpected_count")
_SHOWN_CHARACTERS = 200


@dataclass
class Tally:
    """What became of one expectation so far.

    Attributes:
        spec: The expectation.
        columns: The columns that show why a document offends.
        result: Great Expectations' result of the first batch, which `merged` turns into that of all.
        counts: Sums over the batches, by the name that Great Expectations gives them.
        values: Unexpected values, up to ten.
        offenders: `_id` and shown columns of up to ten offending documents.
        error: Why it could not be evaluated, if so.
    """

    spec: ExpectationSpec
    columns: Sequence[str]
    result: Any = None
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_SUMMED, 0))
    values: list[Any] = field(default_factory=list)
    offenders: list[Document] = field(default_factory=list)
    error: str | None = None

    def add(self, result: Any, frame: pd.DataFrame) -> None:
        """Take in what a batch gave.

        Args:
            result: Great Expectations' result.
            frame: The batch, with all columns.
        """
        self.result = self.result or result
        found: Mapping[str, Any] = result.result
        if not found:
            self.error = self.error or exception_message(result.exception_info)
            return
        for name in _SUMMED:
            self.counts[name] += int(found.get(name) or 0)
        room = OFFENDERS - len(self.offenders)
        rows = list(found.get("partial_unexpected_index_list") or [])[:room]
        self.offenders += frame.loc[rows, ["_id", *self.columns]].to_dict("records")
        self.values += list(found.get("partial_unexpected_list") or [])[:room]

    def merged(self) -> Any:
        """Great Expectations' result for all batches together."""
        if self.error is None:
            looked_at = self.counts["element_count"] - self.counts["missing_count"]
            share = self.counts["unexpected_count"] / looked_at if looked_at else 0.0
            self.result.success = 1 - share >= float(self.spec.kwargs.get("mostly", 1.0))
            self.result.result = {
                **self.counts,
                "unexpected_percent": 100 * share,
                "partial_unexpected_list": self.values,
            }
        return self.result

    def finding(self) -> Finding | None:
        """What does not hold, or None."""
        if self.error is not None:
            return Finding(self.spec.key, "critical", self.spec.notes, f"could not be evaluated: {self.error}")
        if self.merged().success:
            return None
        count, documents = self.counts["unexpected_count"], self.counts["element_count"]
        return Finding(
            expectation=self.spec.key,
            severity=_severity(self.spec),
            notes=self.spec.notes,
            observed=f"{count:,} of {documents:,} documents ({100 * count / documents:.4g} %)",
            figures={
                "element_count": documents,
                "unexpected_count": count,
                "unexpected_percent": self.result.result["unexpected_percent"],
            },
            offending_ids=[plain(offender["_id"]) for offender in self.offenders],
            offending_values=[
                ", ".join(f"{column}={offender[column]}" for column in self.columns)[:_SHOWN_CHARACTERS]
                for offender in self.offenders
            ],
        )


def figure_finding(spec: ExpectationSpec, result: Any, figures: Mapping[str, Figure]) -> Finding | None:
    """What does not hold of an expectation about figures, or None."""
    if result.success:
        return None
    if not result.result:
        reason = exception_message(result.exception_info)
        return Finding(spec.key, "critical", spec.notes, f"could not be evaluated: {reason}")
    named = {name: figures[name] for name in spec.columns}
    observed = "; ".join(f"{name} is {one.value:.4g}: {one.detail}" for name, one in named.items())
    values = [one.value for one in named.values()]
    return Finding(spec.key, _severity(spec), spec.notes, observed, {"observed_value": values[0]})


def exception_message(info: Mapping[str, Any]) -> str:
    """The first line of what Great Expectations says of an expectation that it could not evaluate."""
    details = [info] if "exception_message" in info else list(info.values())
    messages = [str(detail.get("exception_message")) for detail in details if isinstance(detail, Mapping)]
    return messages[0].splitlines()[0][:_SHOWN_CHARACTERS] if messages else "no reason given"


def plain(value: Any) -> Any:
    """A value MongoDB and JSON can hold."""
    if hasattr(value, "item"):
        value = value.item()
    return value if isinstance(value, str | int | float | bool) else str(value)


def _severity(spec: ExpectationSpec) -> Severity:
    return "warning" if spec.severity == "warning" else "critical"
