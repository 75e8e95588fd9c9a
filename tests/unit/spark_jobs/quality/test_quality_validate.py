"""The job's command line, and the order in which it checks."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from spark_jobs.errors import JobError
from spark_jobs.jobs.validate import _check_all, _names, _result, main, parser
from spark_jobs.quality.frames import to_frame
from spark_jobs.quality.outcome import Finding, Outcome
from spark_jobs.quality.run import RECONCILIATION, Fetched, evaluate
from spark_jobs.quality.suites import COLLECTIONS, SUITES_FOLDER, Suite

STARTED = datetime(2019, 11, 1, tzinfo=UTC)


class StubEngine:
    """Stands in for Great Expectations."""

    def check(self, suite: Suite) -> None:
        if suite.name == "odd":
            raise ZeroDivisionError("unforeseen")


def test_everything_is_checked_unless_told_otherwise() -> None:
    assert _names([], SUITES_FOLDER) == [*COLLECTIONS, RECONCILIATION]
    assert _names(["users,products", "users"], SUITES_FOLDER) == ["products", "users"]
    assert _names([RECONCILIATION], SUITES_FOLDER) == [RECONCILIATION]


def test_an_unknown_collection_is_refused() -> None:
    with pytest.raises(JobError, match=r"no such collection: user \(known: enriched_events, .*reconciliation"):
        _names(["user"], SUITES_FOLDER)


def test_a_missing_folder_of_suites_is_refused(tmp_path: Path) -> None:
    with pytest.raises(JobError, match="no folder of suites"):
        _names([], tmp_path / "none")


def test_a_missing_suite_is_still_asked_for_and_an_added_one_too(tmp_path: Path) -> None:
    (tmp_path / "extra.json").write_text("{}")
    assert _names([], tmp_path) == [*COLLECTIONS, "extra", RECONCILIATION]


def test_each_outcome_is_handed_on_in_order_and_errors_stop_nobody() -> None:
    def read(name: str) -> Fetched | Outcome:
        if name == RECONCILIATION:
            return Outcome(name, STARTED, evaluated=1)
        if name == "broken":
            return Fetched(name, STARTED, 0.0, error="broken.json: there is no such file")
        suite = Suite(name, Path(f"{name}.json"), "", {"_id": "string"}, {}, ())
        return Fetched(name, STARTED, 0.0, suite, to_frame([], suite.columns))

    kept: list[Outcome] = []
    engine: Any = StubEngine()
    _check_all(["first", "broken", "odd", RECONCILIATION], read, lambda: engine, kept.append)
    assert [(outcome.collection, outcome.status) for outcome in kept] == [
        ("first", "empty"),
        ("broken", "error"),
        ("odd", "error"),
        (RECONCILIATION, "passed"),
    ]
    assert kept[1].error == "broken.json: there is no such file"
    assert kept[2].error == "ZeroDivisionError: unforeseen"


def test_result_sums_up() -> None:
    finding = Finding("expect_it", "warning", "Look.", "1 of 2")
    outcomes = [Outcome("a", STARTED, evaluated=2, findings=(finding,)), Outcome("b", STARTED, evaluated=2)]
    result = _result("run", outcomes, Path("/reports/run/index.html"), None)
    assert (result["status"], result["critical"], result["warnings"]) == ("warning", 0, 1)
    assert result["collections"]["a"]["status"] == "warning"
    assert result["report"] == "/reports/run/index.html"


@pytest.mark.parametrize("limit", ["0", "-1", "many", "1.5"])
def test_limit_is_a_positive_whole_number(limit: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parser().parse_args([f"--limit={limit}"])
    assert "is not a positive whole number" in capsys.readouterr().err


def test_no_database_is_bad_configuration(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("MONGODB_URI", raising=False)
    assert main([]) == 2
    assert capsys.readouterr().err.startswith("error: MONGODB_URI")


def test_evaluate_reports_what_fetch_could_not_read() -> None:
    engine: Any = StubEngine()
    outcome = evaluate(Fetched("things", STARTED, 1.0, error="MongoDB: gone"), engine)
    assert (outcome.status, outcome.error, outcome.critical) == ("error", "MongoDB: gone", 1)
