from datetime import timedelta
from typing import Any

import pytest
from quality_results import NOON, StoreInMemory, failure, result

from shopstream.pages import history, views
from shopstream.pages.scope import written_by
from shopstream.quality import CHECKS


def by_collection(period: history.Period) -> dict[str, str]:
    return {name: found["status"] for name, found in period.results.items()}


def test_results_of_one_run_belong_together_however_long_it_took() -> None:
    found = [result("users", 2, "b"), result("users", 5, "a"), result("products", 1.9, "b", "failed")]
    runs = history.by_run(sorted(found, key=lambda one: one["started_at"]), limit=10)
    assert [(run.run_id, by_collection(run), run.status) for run in runs] == [
        ("a", {"users": "passed"}, "passed"),
        ("b", {"users": "passed", "products": "failed"}, "failed"),
    ]
    assert [run.run_id for run in history.by_run(found, limit=1)] == ["b"]


def test_a_span_shows_the_worst_and_gaps_are_kept() -> None:
    found = [result(hours=11), result(hours=10, status="failed"), result(hours=9), result(hours=30)]
    spans = history.by_span(found, timedelta(hours=6), NOON, 3)
    assert [(NOON - span.start) / timedelta(hours=1) for span in spans] == [12, 6, 0]
    assert [by_collection(span) for span in spans] == [{"products": "failed"}, {}, {}]
    assert spans[0].results["products"]["started_at"] == NOON - timedelta(hours=10)


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ([], "empty"),
        (["empty", "passed"], "passed"),
        (["warning", "passed"], "warning"),
        (["failed", "error", "warning"], "error"),
        (["failed", "of a newer job"], "of a newer job"),
    ],
)
def test_the_worst_status(statuses: list[str], expected: str) -> None:
    assert history.worst(statuses) == expected


def test_the_pass_rate_counts_expectations_not_collections() -> None:
    found = [result("users", failures=[failure("a"), failure("b")]), result("products"), result(status="error")]
    assert history.pass_rate(found) == 90.0
    assert history.pass_rate([result(status="empty")]) is None


def test_a_trend_does_not_jump_when_a_run_checks_less() -> None:
    whole = {"users": result("users", 3), "products": result("products", 3, failures=[failure("a")])}
    periods = [
        history.Period("all", NOON, whole),
        history.Period(None, NOON),
        history.Period("one", NOON, {"users": result("users", 1)}),
    ]
    assert [one.pass_rate for one in periods] == [95.0, None, 100.0]
    assert [one.pass_rate for one in history.standing(periods)] == [95.0, None, 95.0]


def test_what_each_check_says_about_an_expectation() -> None:
    found = [
        result(hours=4),
        result(hours=3, status="failed", failures=[failure("price"), failure("brand", "warning")]),
        result(hours=2, status="error"),
        result(hours=1, status="failed", failures=[failure("price", percent=None)]),
    ]
    told = history.verdicts(found, "price")
    assert [(one.status, one.share) for one in told] == [
        ("passed", 0.0),
        ("failed", 0.5),
        ("error", None),
        ("failed", None),
    ]
    assert [one.status for one in history.verdicts(found, "brand")] == ["passed", "warning", "error", "passed"]


def test_expectations_that_still_fail_come_first() -> None:
    found = [
        result(hours=3, failures=[failure("past"), failure("often", "warning")]),
        result(hours=2, failures=[failure("past"), failure("often", "warning")]),
        result(hours=1, failures=[failure("often", "warning"), failure("new")]),
    ]
    told = [(one.expectation, one.times, one.open) for one in history.offences(found)]
    assert told == [("new", 1, True), ("often", 3, True), ("past", 2, False)]


def test_collections_come_in_the_order_of_the_checks() -> None:
    assert history.ordered(["zeta", "users", "alpha", "enriched_events"], CHECKS) == [
        "enriched_events",
        "users",
        "alpha",
        "zeta",
    ]


def overview(
    *results: dict[str, Any], span: str = "runs", collections: tuple[str, ...] | None = None
) -> dict[str, Any]:
    return views.overview(StoreInMemory(*results), span, NOON, collections)


def test_the_overview_has_a_row_per_collection_and_a_cell_per_run() -> None:
    shown = overview(
        result("users", 2), result("products", 2), result("products", 1, status="failed", failures=[failure("a")])
    )
    assert [row["collection"] for row in shown["rows"]] == ["products", "users"]
    cells = {row["collection"]: [found and found["status"] for _, found in row["cells"]] for row in shown["rows"]}
    assert cells == {"products": ["passed", "failed"], "users": ["passed", None]}
    assert (shown["worst"], shown["critical"], shown["pass_rate"]) == ("failed", 1, 95.0)
    assert [chart.newest for chart in shown["charts"]] == ["95 %", "1", "0"]


@pytest.mark.parametrize(("span", "columns"), [("week", 28), ("month", 30)])
def test_longer_times_are_cut_into_as_many_columns_as_fit(span: str, columns: int) -> None:
    shown = overview(result(hours=1), result(hours=24 * 40), span=span)
    assert len(shown["periods"]) == columns
    assert sum(bool(period.results) for period in shown["periods"]) == 1


def test_an_unknown_span_counts_as_the_newest_runs() -> None:
    assert overview(result(), span="../../etc")["span"] == "runs"


def test_a_dags_page_is_about_what_it_writes() -> None:
    shown = overview(result("users"), result("model_runs"), collections=written_by("train_models"))
    assert [row["collection"] for row in shown["rows"]] == ["model_runs"]
    assert overview(result("users"), collections=written_by("of somebody else"))["rows"] == []


def test_every_check_is_about_what_some_dag_writes() -> None:
    writers = ("seed_dimensions", "replay_events", "streaming_lifecycle", "train_models")
    covered = {name for dag_id in writers for name in written_by(dag_id)}
    assert covered | {"data_quality_results"} >= set(CHECKS) == set(written_by("data_quality"))


def test_a_check_that_could_not_be_made_is_a_gap_in_the_documents() -> None:
    found = views.collection(StoreInMemory(result(hours=2), result(hours=1, status="error")), "products")
    assert found is not None
    assert len(found["charts"][0].points) == 1


def test_the_last_failure_is_told_whole() -> None:
    store = StoreInMemory(result(hours=2, status="failed", failures=[failure("price")]), result(hours=1))
    found = views.expectation(store, "products", "price")
    assert found is not None
    assert found["finding_of_last"]["offending_ids"] == failure("price")["offending_ids"]
    assert (found["failures"], found["count"], found["verdicts"][0].status) == (1, 2, "passed")
    assert views.expectation(store, "nothing", "price") is None
