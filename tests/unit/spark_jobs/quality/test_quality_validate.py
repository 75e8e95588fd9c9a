"""The job's command line, and the order in which it checks."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from spark_jobs.errors import JobError
from spark_jobs.jobs.validate import OTHER_CHECKS, _names, _result, main, parser
from spark_jobs.quality.outcome import Finding, Outcome
from spark_jobs.quality.run import RECONCILIATION
from spark_jobs.quality.suites import COLLECTIONS, SUITES_FOLDER

STARTED = datetime(2019, 11, 1, tzinfo=UTC)


def test_everything_is_checked_unless_told_otherwise() -> None:
    assert _names([], SUITES_FOLDER) == [*COLLECTIONS, *OTHER_CHECKS]
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
    assert _names([], tmp_path) == [*COLLECTIONS, "extra", *OTHER_CHECKS]


def test_the_result_tells_each_check_and_where_the_report_is() -> None:
    finding = Finding("expect_it", "critical", "Look.", "1 of 2")
    outcomes = [Outcome("a", STARTED, evaluated=2, findings=(finding,)), Outcome("b", STARTED, evaluated=2)]
    result = _result(outcomes, Path("/reports/run/index.html"), "http://airflow/run")
    assert list(result) == ["a", "b"]
    assert (result["a"]["status"], result["a"]["critical"], result["b"]["status"]) == ("failed", 1, "passed")
    assert result["a"]["expectations"] == ["expect_it"]
    assert {(one["report"], one["report_url"]) for one in result.values()} == {
        ("/reports/run/index.html", "http://airflow/run")
    }


@pytest.mark.parametrize("limit", ["0", "-1", "many", "1.5"])
def test_limit_is_a_positive_whole_number(limit: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parser().parse_args([f"--limit={limit}"])
    assert "is not a positive whole number" in capsys.readouterr().err


def test_no_database_is_bad_configuration(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("MONGODB_URI", raising=False)
    assert main([]) == 2
    assert capsys.readouterr().err.startswith("error: MONGODB_URI")
