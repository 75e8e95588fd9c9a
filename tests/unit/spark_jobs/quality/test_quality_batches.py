"""A suite over several batches: judged by Great Expectations, added up."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from spark_jobs.quality.engine import Engine
from spark_jobs.quality.figures import Figure
from spark_jobs.quality.frames import to_frame
from spark_jobs.quality.outcome import Finding
from spark_jobs.quality.suites import Suite, SuiteError, load_suite


def _expected(kind: str, kwargs: dict[str, Any], severity: str = "critical") -> dict[str, Any]:
    return {"type": kind, "kwargs": kwargs, "meta": {"severity": severity, "notes": "Sizes are what they should be."}}


def _suite(folder: Path, *expectations: dict[str, Any]) -> Suite:
    figures = {"sizes_shift": {"kind": "quantile_shift", "column": "size"}}
    meta = {"notes": "Things.", "columns": {"_id": "string", "size": "number"}, "figures": figures}
    content = {"name": "things", "meta": meta, "expectations": list(expectations)}
    (folder / "things.json").write_text(json.dumps(content))
    return load_suite("things", folder)


BETWEEN = "expect_column_values_to_be_between"
POSITIVE = _expected(BETWEEN, {"column": "size", "min_value": 0})
MOSTLY = _expected(BETWEEN, {"column": "size", "max_value": 5, "mostly": 0.75}, "warning")
SHIFT = _expected(BETWEEN, {"column": "sizes_shift", "max_value": 2}, "warning")


def _findings(
    folder: Path, suite: Suite, batches: Sequence[Sequence[float | None]], shift: Figure
) -> dict[str, Finding]:
    engine = Engine(folder / "gx", "test")
    judging = engine.judging(suite)
    for number, sizes in enumerate(batches):
        documents = [{"_id": f"{number}-{at}", "size": size} for at, size in enumerate(sizes)]
        judging.batch(to_frame(documents, suite.columns))
    judging.figures({"sizes_shift": shift})
    findings = {finding.expectation: finding for finding in judging.findings()}
    site = engine.build_docs()
    (page,) = (site / "validations").glob("things/*/*/*.html")
    assert "size" in page.read_text()
    return findings


def test_counts_are_those_of_all_batches_and_offenders_the_first_ten(tmp_path: Path) -> None:
    suite = _suite(tmp_path, POSITIVE, SHIFT)
    found = _findings(tmp_path, suite, [[1.0, -1.0, None], [2.0] * 5, [-1.0] * 12], Figure(1.0, ""))
    (finding,) = found.values()
    assert finding.figures["unexpected_count"] == 13
    assert finding.observed == "13 of 20 documents (65 %)"
    assert finding.offending_ids == ["0-1", *(f"2-{number}" for number in range(9))]


@pytest.mark.parametrize(("large", "holds"), [(2, True), (3, False)])
def test_a_share_is_that_of_all_batches(tmp_path: Path, large: int, holds: bool) -> None:
    suite = _suite(tmp_path, MOSTLY)
    # The second batch alone fails either way.
    found = _findings(tmp_path, suite, [[1.0] * 6, [9.0] * large + [1.0] * (2 - large), [None]], Figure(1.0, ""))
    assert (not found) is holds


def test_figures_are_judged_and_null_ones_are_not(tmp_path: Path) -> None:
    suite = _suite(tmp_path, POSITIVE, SHIFT)
    (finding,) = _findings(tmp_path, suite, [[1.0]], Figure(2.5, "p50 was 1, is 2.5")).values()
    assert (finding.severity, finding.observed) == ("warning", "sizes_shift is 2.5: p50 was 1, is 2.5")
    (tmp_path / "gx").rename(tmp_path / "old")
    assert _findings(tmp_path, suite, [[1.0]], Figure(None, "too few")) == {}


def test_an_expectation_about_all_documents_at_once_is_refused(tmp_path: Path, engine: Engine) -> None:
    suite = _suite(tmp_path, _expected("expect_column_mean_to_be_between", {"column": "size", "max_value": 1}))
    with pytest.raises(SuiteError, match=r"things.json: .*mean_to_be_between looks at all documents at once"):
        engine.check(suite)


def test_figures_and_documents_are_not_expected_together(tmp_path: Path) -> None:
    pair = {"column_A": "size", "column_B": "sizes_shift"}
    with pytest.raises(SuiteError, match=r"expectation 1 .*uses figures and columns of documents together"):
        _suite(tmp_path, _expected("expect_column_pair_values_to_be_equal", pair))
