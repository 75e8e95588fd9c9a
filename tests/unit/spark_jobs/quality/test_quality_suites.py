"""The reviewed suites: complete, understood by Great Expectations, quiet on valid documents."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from spark_jobs.quality.engine import Engine
from spark_jobs.quality.frames import to_frame
from spark_jobs.quality.outcome import Finding
from spark_jobs.quality.rules import add_rules
from spark_jobs.quality.suites import COLLECTIONS, SUITES_FOLDER, load_suite

Validated = Callable[[str, list[dict[str, Any]]], dict[str, Finding]]


def test_there_is_one_suite_per_collection() -> None:
    assert {path.stem for path in SUITES_FOLDER.glob("*.json")} == set(COLLECTIONS)
    assert len(COLLECTIONS) == 17


@pytest.mark.parametrize("collection", COLLECTIONS)
def test_suite_is_understood(collection: str, engine: Engine) -> None:
    suite = load_suite(collection)
    engine.check(suite)
    # Rules evaluate to true/false over columns of the declared kinds, even over none.
    frame = add_rules(to_frame([], suite.columns), suite.rules)
    assert all(frame[rule].dtype == "boolean" for rule in suite.rules)


@pytest.mark.parametrize("collection", COLLECTIONS)
def test_suite_says_what_a_failure_means(collection: str) -> None:
    suite = load_suite(collection)
    for spec in suite.expectations:
        assert re.fullmatch(r"[A-Z`a-z].{15,}[.]", spec.notes), spec
    assert len({spec.key for spec in suite.expectations}) == len(suite.expectations)


@pytest.mark.parametrize("collection", COLLECTIONS)
def test_every_rule_is_expected_to_hold(collection: str) -> None:
    suite = load_suite(collection)
    checked = {column for spec in suite.expectations for column in spec.columns}
    assert set(suite.rules) <= checked
    assert "wrong_types" in checked


@pytest.mark.parametrize("collection", COLLECTIONS)
def test_suite_lists_expectations_in_a_reviewable_way(collection: str) -> None:
    text = (SUITES_FOLDER / f"{collection}.json").read_text()
    lines = text.splitlines()
    # Type, arguments and meaning of an expectation each have a line of their own.
    assert sum(line.startswith('      "type": ') for line in lines) == len(json.loads(text)["expectations"])
    assert sum(line.startswith('      "meta": ') for line in lines) == len(json.loads(text)["expectations"])


@pytest.mark.parametrize(
    "collection", ["enriched_events", "event_aggregations", "user_session_analytics", "conversion_funnel"]
)
def test_valid_documents_pass(collection: str, valid: dict[str, list[dict[str, Any]]], validated: Validated) -> None:
    assert len(valid[collection]) > 5
    assert validated(collection, valid[collection]) == {}
