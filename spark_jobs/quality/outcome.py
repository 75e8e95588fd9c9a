"""What a check found, and how bad it is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Literal

from spark_jobs.mongo import Document

Severity = Literal["critical", "warning"]
Status = Literal["passed", "warning", "failed", "empty", "error"]

OFFENDERS = 10
_FINDINGS_IN_METRICS = 10


@dataclass(frozen=True)
class Finding:
    """One expectation that does not hold.

    Attributes:
        expectation: Its key within the suite (see `suites.ExpectationSpec`).
        severity: How bad that is.
        notes: What it means and what to do.
        observed: The figures, for people: `41 of 100,000 documents (0.04 %)`.
        figures: The same for programs: `unexpected_count`, `element_count`, `unexpected_percent`, `observed_value`.
        offending_ids: `_id`s of up to ten offending documents.
        offending_values: What is wrong with each of them, as text: `price=-1.0`.
    """

    expectation: str
    severity: Severity
    notes: str
    observed: str
    figures: dict[str, Any] = field(default_factory=dict)
    offending_ids: list[Any] = field(default_factory=list)
    offending_values: list[str] = field(default_factory=list)

    def line(self, collection: str) -> str:
        """The finding in one line of a log."""
        which = f" [{', '.join(map(str, self.offending_ids))}]" if self.offending_ids else ""
        return f"{self.severity.upper()} {collection}: {self.expectation}: {self.observed}. {self.notes}{which}"


@dataclass(frozen=True)
class Outcome:
    """The result of checking one collection (or of the reconciliation).

    Attributes:
        collection: What was checked.
        started_at: When, UTC.
        seconds: How long it took.
        checked: Documents looked at.
        total: Documents there were.
        evaluated: Expectations evaluated.
        findings: Those that do not hold.
        error: Why the check could not be carried out, or None.
        message: Anything else worth a sentence, or None.
        figures: Further figures of the check, by name.
        window: What was read (see `windows.Mark`), or None where that is not known.
        profile: What later checks compare theirs with (see `figures.Profile`), or None.
    """

    collection: str
    started_at: datetime
    seconds: float = 0.0
    checked: int = 0
    total: int = 0
    evaluated: int = 0
    findings: tuple[Finding, ...] = ()
    error: str | None = None
    message: str | None = None
    figures: dict[str, Any] = field(default_factory=dict)
    window: Document | None = None
    profile: Document | None = None

    @property
    def critical(self) -> int:
        """Critical findings; a check that could not be carried out is one."""
        return _count(self.findings, "critical") + (self.error is not None)

    @property
    def warnings(self) -> int:
        """Findings that are no more than warnings."""
        return _count(self.findings, "warning")

    @property
    def status(self) -> Status:
        """`error` where nothing could be said, else the worst finding, `empty` where there was nothing to check."""
        if self.error is not None:
            return "error"
        if self.critical:
            return "failed"
        if self.warnings:
            return "warning"
        return "passed" if self.evaluated else "empty"

    def document(self, run_id: str, report: str, report_url: str | None) -> Document:
        """The document of `data_quality_results`; its `_id` makes a retry overwrite instead of duplicate."""
        return {
            "_id": f"{run_id}|{self.collection}",
            "run_id": run_id,
            "collection": self.collection,
            "status": self.status,
            "checked_documents": self.checked,
            "total_documents": self.total,
            "evaluated": self.evaluated,
            "successful": self.evaluated - len(self.findings),
            "critical": self.critical,
            "warnings": self.warnings,
            "failures": [asdict(finding) for finding in self.findings],
            "error": self.error,
            "message": self.message,
            "figures": self.figures,
            "window": self.window,
            "profile": self.profile,
            "started_at": self.started_at,
            "seconds": round(self.seconds, 3),
            "report": report,
            "report_url": report_url,
        }

    def metrics(self) -> dict[str, Any]:
        """The figures for the orchestrator: `findings` as lines (at most ten, critical ones first), `expectations` the
        keys of those that are critical."""
        lines = [] if self.error is None else [f"CRITICAL {self.collection}: {self.error}"]
        lines += [finding.line(self.collection) for finding in self.findings]
        return {
            "status": self.status,
            "checked": self.checked,
            "total": self.total,
            "evaluated": self.evaluated,
            "successful": self.evaluated - len(self.findings),
            "critical": self.critical,
            "warnings": self.warnings,
            "seconds": round(self.seconds, 3),
            "message": self.message,
            "error": self.error,
            "figures": self.figures,
            "expectations": [one.expectation for one in self.findings if one.severity == "critical"],
            "findings": lines[:_FINDINGS_IN_METRICS],
        }

    def summary(self) -> str:
        """The check in one line of a log."""
        if self.error is not None:
            return f"{self.collection:<24} error    {self.error}"
        if not self.evaluated:
            return f"{self.collection:<24} empty    {self.message}"
        said = f" ({self.message})" if self.message else ""
        failed = f"{self.critical} critical, {self.warnings} warnings" if self.findings else "all hold"
        return (
            f"{self.collection:<24} {self.status:<8} {self.checked:,} of {self.total:,} documents, "
            f"{self.evaluated} expectations, {failed}, {self.seconds:.1f} s{said}"
        )


def run_status(outcomes: Iterable[Outcome]) -> Literal["passed", "warning", "failed"]:
    """The worst of a run: `failed` with any critical finding, else `warning` with any warning."""
    outcomes = list(outcomes)
    if any(outcome.critical for outcome in outcomes):
        return "failed"
    return "warning" if any(outcome.warnings for outcome in outcomes) else "passed"


def _count(findings: Iterable[Finding], severity: Severity) -> int:
    return sum(finding.severity == severity for finding in findings)
