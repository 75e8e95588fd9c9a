"""A suite that cannot be used says which file, which expectation, and why."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from spark_jobs.quality.engine import Engine
from spark_jobs.quality.suites import SuiteError, load_suite

Change = Callable[[dict[str, Any]], object]


def _suite() -> dict[str, Any]:
    return {
        "name": "things",
        "meta": {
            "notes": "Things.",
            "columns": {"_id": "string", "size": "number", "tags": "strings"},
            "rules": {"big": "size > 3"},
        },
        "expectations": [
            {
                "type": "expect_column_values_to_be_between",
                "kwargs": {"column": "size", "min_value": 0},
                "meta": {"severity": "critical", "notes": "Sizes are not negative."},
            }
        ],
    }


@pytest.fixture
def written(tmp_path: Path) -> Callable[[dict[str, Any]], Path]:
    """Function that writes a suite and returns its folder."""

    def write(suite: dict[str, Any]) -> Path:
        (tmp_path / "things.json").write_text(json.dumps(suite))
        return tmp_path

    return write


def _first(suite: dict[str, Any]) -> dict[str, Any]:
    first: dict[str, Any] = suite["expectations"][0]
    return first


BROKEN: dict[str, tuple[Change, str]] = {
    "other name": (lambda s: s.update(name="thing"), r"things.json: name is 'thing', not 'things'"),
    "typo in a key": (lambda s: s.update(expectation=[]), r"things.json: has expectation, which means nothing"),
    "no expectation": (lambda s: s.update(expectations=[]), r"at least one expectation"),
    "unknown kind": (lambda s: s["meta"]["columns"].update(size="float"), r"meta.columns.size is 'float'; known kinds"),
    "no _id": (lambda s: s["meta"]["columns"].pop("_id"), r"lacks _id"),
    "rule is no expression": (
        lambda s: s["meta"]["rules"].update(big="size >"),
        r"meta.rules.big: 'size >' is no expr",
    ),
    "rule over nothing": (lambda s: s["meta"]["rules"].update(big="sise > 1"), r"meta.rules.big uses sise"),
    "rule reaches out": (lambda s: s["meta"]["rules"].update(big="size.__class__ == 1"), r"private name __class__"),
    "unknown column": (lambda s: _first(s)["kwargs"].update(column="sise"), r"expectation 1 \(.*between\): uses sise"),
    "unknown severity": (lambda s: _first(s)["meta"].update(severity="fatal"), r"meta.severity is 'fatal'"),
    "no severity": (lambda s: _first(s)["meta"].pop("severity"), r"expectation 1 .*: meta: lacks severity"),
    "no notes": (lambda s: _first(s)["meta"].update(notes=" "), r"meta.notes is not a sentence"),
    "kwargs is a list": (lambda s: _first(s).update(kwargs=[]), r"kwargs is not an object"),
    "condition on nothing": (
        lambda s: _first(s)["kwargs"].update(row_condition='col("kind")=="a"'),
        r"uses kind, which",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_suite_is_refused(case: str, written: Callable[[dict[str, Any]], Path]) -> None:
    change, message = BROKEN[case]
    suite = _suite()
    change(suite)
    with pytest.raises(SuiteError, match=message) as caught:
        load_suite("things", written(suite))
    assert "things.json" in str(caught.value)


def test_missing_and_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(SuiteError, match=r"things.json: there is no such file"):
        load_suite("things", tmp_path)
    (tmp_path / "things.json").write_text('{\n"name": "things",\n}')
    with pytest.raises(SuiteError, match=r"things.json: line 3 is not JSON"):
        load_suite("things", tmp_path)
    (tmp_path / "things.json").write_bytes(b"\xff\xfe")
    with pytest.raises(SuiteError, match=r"things.json: cannot be read"):
        load_suite("things", tmp_path)


def test_unknown_expectation_is_named_with_a_suggestion(
    engine: Engine, written: Callable[[dict[str, Any]], Path]
) -> None:
    suite = _suite()
    _first(suite)["type"] = "expect_column_value_to_be_between"
    with pytest.raises(
        SuiteError, match=r"things.json: .*no expectation .*did you mean expect_column_values_to_be_bet"
    ):
        engine.check(load_suite("things", written(suite)))


def test_unknown_argument_is_named(engine: Engine, written: Callable[[dict[str, Any]], Path]) -> None:
    suite = _suite()
    _first(suite)["kwargs"]["minimum"] = 0
    with pytest.raises(SuiteError, match=r"things.json: expect_column_values_to_be_between:size: .*minimum"):
        engine.check(load_suite("things", written(suite)))


def test_a_second_expectation_of_the_same_kind_has_a_key_of_its_own(
    written: Callable[[dict[str, Any]], Path],
) -> None:
    suite = _suite()
    suite["expectations"] *= 2
    keys = [spec.key for spec in load_suite("things", written(suite)).expectations]
    assert keys == ["expect_column_values_to_be_between:size", "expect_column_values_to_be_between:size#2"]
