"""What counts as a difference, and how it is reported."""

from datetime import UTC, datetime
from typing import Any

import pytest

from spark_jobs.audit.compare import ABSENT, FieldDifference, compare

NOON = datetime(2019, 10, 1, 12, tzinfo=UTC)


def differs(actual: Any, expected: Any, **options: Any) -> bool:
    return bool(compare([{"_id": "x", "f": actual}], {"x": {"_id": "x", "f": expected}}, **options))


@pytest.mark.parametrize(
    ("actual", "expected"),
    [
        (3, 3), (3.0, 3), (3, 3.0), (None, None), ("a", "a"), (True, True), (["a", "b"], ["a", "b"]), ([], []),
        (1e9 + 0.5, 1e9), (5e-7, 0.0), (float("inf"), float("inf")),
        (NOON.replace(tzinfo=None), NOON), (NOON.replace(microsecond=999), NOON),
    ],
)  # fmt: skip
def test_equal(actual: Any, expected: Any) -> None:
    assert not differs(actual, expected)


@pytest.mark.parametrize(
    ("actual", "expected"),
    [
        (4, 3), (3.1, 3), (None, 3), (0, None), ("3", 3), (True, 1), (1, True), (None, "a"), (["b", "a"], ["a", "b"]),
        (1e9 + 5, 1e9), (2e-6, 0.0), (float("nan"), 1.0), (float("inf"), 1.0), (0.0, None), (None, 0.0), ("a", ["a"]),
        (NOON.replace(microsecond=1000), NOON), ("2019-10-01T12:00:00Z", NOON), (None, NOON),
    ],
)  # fmt: skip
def test_different(actual: Any, expected: Any) -> None:
    assert differs(actual, expected)


@pytest.mark.parametrize(("actual", "accepted"), [(95, True), (105, True), (94, False), (106, False), (None, False)])
def test_a_sketched_field_may_be_five_percent_off(actual: Any, accepted: bool) -> None:
    assert differs(actual, 100, sketched=("f",)) is not accepted
    assert differs(actual, 100, sketched=("g",))


def test_the_tolerance_of_sketches_can_be_chosen() -> None:
    assert not differs(110, 100, sketched=["f"], tolerance=0.1)
    assert differs(101, 100, sketched=["f"], tolerance=0)


def test_an_absent_field_is_not_null_and_further_fields_are_ignored() -> None:
    differences = compare([{"_id": "x", "more": 1}], {"x": {"_id": "x", "f": None}})
    assert differences.different == [FieldDifference("x", "f", ABSENT, None)]


def test_missing_and_unexpected_documents() -> None:
    expected = {name: {"_id": name, "f": 1} for name in "abc"}
    differences = compare([{"_id": "b", "f": 1}, {"_id": "z", "f": 1}], expected)
    assert (differences.missing, differences.unexpected, differences.different) == (["a", "c"], ["z"], [])
    assert differences


def test_the_summary_of_agreement() -> None:
    assert compare([{"_id": "a"}], {"a": {"_id": "a"}}).summary() == "all 1 documents as expected"


def test_the_summary_names_figures_and_first_cases() -> None:
    expected = {"a": {"_id": "a", "f": 1, "g": 2.5}, "b": {"_id": "b", "f": 1, "g": 2.5}, "c": {"_id": "c", "f": 1}}
    actual: list[dict[str, Any]] = [{"_id": "a", "f": 2, "g": 3.5}, {"_id": "b", "f": 7, "g": 2.5}, {"_id": "d"}]
    assert compare(actual, expected).summary().splitlines() == [
        "3 documents expected: 1 missing, 1 unexpected, 2 different",
        "  missing: c",
        "  unexpected: d",
        "  different by field: f 2, g 1",
        "  a: f is 2, expected 1",
        "  a: g is 3.5, expected 2.5",
        "  b: f is 7, expected 1",
    ]


def test_samples_are_bounded_and_counts_are_not() -> None:
    expected = {str(number): {"_id": str(number), "f": 1, "g": 1} for number in range(50)}
    differences = compare([{"_id": name, "f": 2, "g": 2} for name in expected], expected)
    assert (len(differences.different), differences.different_documents) == (20, 50)
    assert differences.fields == {"f": 50, "g": 50}
    assert len(compare([], expected).summary().splitlines()) == 12
