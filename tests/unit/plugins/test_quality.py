import ast
import logging
from typing import Any

import pytest
from airflow_for_tests import REPOSITORY

from shopstream.quality import CHECKS, QualityFailure, verdict


def figures(findings: list[str], critical: int, warnings: int, url: str | None = None) -> dict[str, Any]:
    return {
        "status": "failed" if critical else "passed",
        "checked": 1200,
        "total": 5000,
        "evaluated": 9,
        "critical": critical,
        "warnings": warnings,
        "message": None,
        "findings": findings,
        "expectations": ["price >= 0"] if critical else [],
        "report": "/reports/r1/index.html",
        "report_url": url,
    }


def test_no_critical_finding_is_a_success(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        text = verdict("products", figures(["WARNING products: brand: 3 of 10"], 0, 1) | {"message": "since noon"})
    assert text == (
        "products: passed, 1,200 of 5,000 documents, 9 expectations, 1 warnings (since noon), "
        "report: /reports/r1/index.html"
    )
    assert [(r.levelname, r.message) for r in caplog.records] == [
        ("WARNING", "WARNING products: brand: 3 of 10"),
        ("INFO", "Report: /reports/r1/index.html"),
    ]


def test_critical_findings_fail_with_figures_and_report() -> None:
    lines = ["CRITICAL products: price >= 0: 41 of 100 documents (41 %) [p1]", "WARNING products: brand"]
    with pytest.raises(QualityFailure) as caught:
        verdict("products", figures(lines, 1, 1, url="http://127.0.0.1/r1"))
    assert str(caught.value) == f"products: 1 critical finding, report: http://127.0.0.1/r1\n{lines[0]}"
    assert (caught.value.collection, caught.value.expectations) == ("products", ["price >= 0"])
    assert caught.value.link == "http://127.0.0.1/r1"


def test_findings_that_the_result_leaves_out_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(QualityFailure, match=r"^products: 12 critical findings"):
        verdict("products", figures(["CRITICAL products: x"] * 10, 12, 0))
    assert "products: 2 more findings" in caplog.text


def test_the_form_offers_what_the_job_checks() -> None:
    source = (REPOSITORY / "spark_jobs" / "quality" / "suites.py").read_text()
    (known,) = (
        ast.literal_eval(node.value)
        for node in ast.parse(source).body
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "COLLECTIONS"
    )
    assert (*known, "reconciliation", "self_audit") == CHECKS
