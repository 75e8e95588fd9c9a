"""Checks on a real document store: what is read, what stays red, what a broken part does to the others."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from pymongo import MongoClient

from benchmarks.servers import Servers, servers
from benchmarks.store import AUTO
from spark_jobs.audit.enrich import enrich
from spark_jobs.audit.recompute import recompute
from spark_jobs.jobs.validate import check_collections, parser, validate
from spark_jobs.quality.engine import Engine
from spark_jobs.quality.outcome import Outcome
from spark_jobs.quality.reading import Options, read
from spark_jobs.quality.references import Lookup, Reference
from spark_jobs.quality.suites import SUITES_FOLDER

Document = dict[str, Any]
Check = Callable[..., dict[str, Any]]

START = datetime(2019, 10, 5, 10, tzinfo=UTC)
WRITTEN = datetime(2019, 10, 6, tzinfo=UTC)
KINDS = ("view", "cart", "purchase")
EVENTS = 240
STREAMED = ("enriched_events", "event_aggregations", "user_session_analytics", "conversion_funnel")


def _events(first: int, count: int, written: datetime) -> list[Document]:
    raw = [
        {
            "event_id": f"event-{number}",
            "event_time": (START + timedelta(minutes=number)).isoformat(),
            "event_type": KINDS[number % 3],
            "product_id": 1 + number % 3,
            "category_code": "toys.car",
            "brand": "acme",
            "price": 10.0 + number % 7,
            "user_id": 100 + number // 3,
            "user_session": f"session-{number // 3}",
        }
        for number in range(first, first + count)
    ]
    products = {n: {"product_name": "Car", "category_name": "toys", "subcategory": "car"} for n in (1, 2, 3)}
    documents = list(enrich(raw, products, {}).values())
    for offset, document in enumerate(documents, start=first):
        document |= {"kafka_partition": 0, "kafka_offset": offset, "processing_timestamp": written}
    return documents


@pytest.fixture(scope="module")
def running() -> Iterator[Servers]:
    # Of its own: the last test ends the store.
    with servers(AUTO) as made:
        yield made


@pytest.fixture
def check(running: Servers, tmp_path: Path) -> Check:
    """Fill an empty database, and return a function (run id, options) -> what the job reports."""
    db = running.db
    for name in db.list_collection_names():
        db[name].drop()
    products = [{"_id": n, "product_id": n, "product_name": "Car", "category_name": "toys"} for n in (1, 2, 3)]
    db["products"].insert_many([one | {"price": 1.0, "synthetic": ["product_name"]} for one in products])
    db["dimension_versions"].insert_one({"_id": "products", "version": "1"})
    events = _events(0, EVENTS, WRITTEN)
    db["enriched_events"].insert_many(events)
    for name, documents in recompute(events).items():
        db[name].insert_many(list(documents.values()))
    watermark = START + timedelta(minutes=EVENTS - 10)
    driver = {"_id": "driver", "kind": "driver", "generation": "a", "watermark": watermark, "late_events": 0}
    db["stream_health"].insert_one(driver)
    config = replace(running.config("quality"), data_dir=tmp_path)

    def run(run_id: str, *arguments: str) -> dict[str, Any]:
        return validate(parser().parse_args([f"--run-id={run_id}", *arguments]), config)

    return run


def _read(result: dict[str, Any], *names: str) -> list[int]:
    return [result[name]["checked"] for name in names]


def test_what_is_new_is_read_and_what_is_red_stays_red(check: Check, running: Servers) -> None:
    db = running.db
    names = ("--collections", *STREAMED, "products")
    first = check("first", *names)
    # Old events without users give warnings, which are none of this test's business.
    assert not any(one["critical"] for one in first.values()), first
    assert _read(first, "enriched_events", "products") == [EVENTS, 3]

    # Nothing new: the newest micro-batch is read again, the catalogue is not.
    db["enriched_events"].update_many({"_id": {"$ne": "event-239"}}, {"$set": {"processing_timestamp": START}})
    assert _read(check("second", *names), "enriched_events", "products") == [1, 0]

    new = _events(EVENTS, 2, WRITTEN + timedelta(hours=1))
    db["enriched_events"].insert_many([new[0], new[1] | {"price": -1.0}])
    third = check("third", *names)
    assert _read(third, "enriched_events") == [3]
    assert third["enriched_events"]["status"] == "failed"
    assert "expect_column_values_to_be_between:price" in third["enriched_events"]["expectations"]
    assert "[event-241]" in third["enriched_events"]["findings"][0]

    # Checked again until it is mended, whatever is new; the same run again overwrites its results.
    for _ in range(2):
        assert check("fourth", *names)["enriched_events"]["status"] == "failed"
    assert db["data_quality_results"].count_documents({"run_id": "fourth"}) == len(STREAMED) + 1
    db["enriched_events"].replace_one({"_id": "event-241"}, new[1])
    assert check("fifth", *names)["enriched_events"]["critical"] == 0
    assert _read(check("sixth", *names), "enriched_events") == [2]
    assert _read(check("whole", "--whole", *names), "enriched_events", "products") == [EVENTS + 2, 3]


def test_a_limit_of_ones_own_skips_nothing(check: Check, running: Servers) -> None:
    names = ("--collections", "enriched_events")
    check("first", *names)
    new = _events(EVENTS, 4, WRITTEN + timedelta(hours=1))
    running.db["enriched_events"].insert_many([new[0] | {"price": -1.0}, *new[1:]])
    assert check("few", "--limit=2", *names)["enriched_events"]["critical"] == 0
    assert check("all", *names)["enriched_events"]["critical"] == 1
    assert check("few", "--limit=2", *names)["enriched_events"]["critical"] == 0
    assert check("still", *names)["enriched_events"]["critical"] == 1


def test_a_new_beginning_of_the_stream_and_a_new_catalogue_are_read_whole(check: Check, running: Servers) -> None:
    names = ("--collections", "enriched_events", "products")
    check("first", *names)
    running.db["stream_health"].update_one({"_id": "driver"}, {"$set": {"generation": "b"}})
    running.db["dimension_versions"].update_one({"_id": "products"}, {"$set": {"version": "2"}})
    assert _read(check("second", *names), "enriched_events", "products") == [EVENTS, 3]


def test_changed_windows_and_visits_are_read_again(check: Check, running: Servers) -> None:
    names = ("--collections", "event_aggregations", "user_session_analytics")
    first = check("first", *names)
    second = check("second", *names)
    for name in names[1:]:
        assert 0 < second[name]["checked"] < first[name]["checked"]
    newest = running.db["user_session_analytics"].find_one(sort=[("session_end", -1)])
    assert newest
    running.db["user_session_analytics"].update_one({"_id": newest["_id"]}, {"$set": {"total_events": 99}})
    assert check("third", *names)["user_session_analytics"]["status"] == "failed"


def test_old_results_are_forgotten(check: Check, running: Servers) -> None:
    results = running.db["data_quality_results"]
    for run_id in ("old", "new"):
        check(run_id, "--collections", "products", "users")
    long_ago = datetime.now(UTC) - timedelta(days=11)
    results.update_many({"run_id": "old"}, {"$set": {"started_at": long_ago}})
    # Only of what is checked: another collection's last good check says what is new there.
    check("newest", "--collections", "products", "--keep-days=10")
    assert {one["_id"] for one in results.find({}, {"_id": 1})} == {
        f"{run_id}|{name}"
        for run_id, name in (("old", "users"), ("new", "products"), ("new", "users"), ("newest", "products"))
    }


def test_products_that_disappear_are_missed(check: Check, running: Servers) -> None:
    running.db["products"].delete_one({"_id": 2})
    found = check("first", "--collections", "enriched_events")["enriched_events"]
    assert found["expectations"][0].startswith("expect_column_values_to_be_in_set:product_in_catalogue")


@pytest.mark.parametrize("stored", [150, 3_000])  # few enough to be read as a whole, and not
def test_what_documents_refer_to_is_looked_up(running: Servers, stored: int) -> None:
    running.db["things"].drop()
    running.db["things"].insert_many([{"_id": number} for number in range(stored)])
    lookup, reference = Lookup(running.db), {"exists": Reference("thing", "things")}
    for things in ([*range(120), -1, None], [130, 119, -1, -2]):
        exists = lookup.add(pd.DataFrame({"thing": pd.array(things, "Int64")}), reference)["exists"]
        assert exists.astype("object").where(exists.notna(), None).tolist() == [
            None if one is None else one >= 0 for one in things
        ]


def test_the_platform_audits_itself(check: Check, running: Servers) -> None:
    audited = check("good", "--collections", "self_audit")["self_audit"]
    assert (audited["status"], audited["critical"]) == ("passed", 0)
    assert all(audited["figures"][name] > 3 for name in STREAMED[1:]), audited["figures"]
    window = running.db["event_aggregations"].find_one(
        {"kind": "category_5m", "window_start": {"$gt": START + timedelta(hours=2)}}
    )
    assert window
    running.db["event_aggregations"].update_one({"_id": window["_id"]}, {"$inc": {"event_count": 1}})
    found = check("bad", "--collections", "self_audit")["self_audit"]
    assert found["expectations"] == ["event_aggregations_as_recomputed"]
    assert window["_id"] in found["findings"][0]


def test_broken_suites_are_named_and_the_others_checked(check: Check, tmp_path: Path) -> None:
    suites = tmp_path / "suites"
    shutil.copytree(SUITES_FOLDER, suites)
    (suites / "users.json").write_text('{"name": ')
    funnel = json.loads((suites / "conversion_funnel.json").read_text())
    funnel["expectations"][3]["type"] = "expect_column_value_to_be_between"
    (suites / "conversion_funnel.json").write_text(json.dumps(funnel))
    (suites / "products.json").unlink()
    names = ("users", "conversion_funnel", "products", "enriched_events", "journey_metrics")
    found = check("broken", f"--suites={suites}", "--collections", *names)
    assert "users.json: line 1 is not JSON" in found["users"]["error"]
    assert "conversion_funnel.json: expect_column_value_to_be_between" in found["conversion_funnel"]["error"]
    assert "products.json: there is no such file" in found["products"]["error"]
    assert (found["enriched_events"]["critical"], found["enriched_events"]["checked"]) == (0, EVENTS)
    # A collection that does not exist has no documents, which is no failure.
    assert (found["journey_metrics"]["status"], found["journey_metrics"]["message"]) == ("empty", "no documents yet")


def test_a_database_that_goes_away_in_the_middle_is_said(check: Check, running: Servers, tmp_path: Path) -> None:
    client: MongoClient[Document] = MongoClient(running.stack.mongodb_uri, tz_aware=True, serverSelectionTimeoutMS=500)
    outcomes: list[Outcome] = []

    def keep(outcome: Outcome) -> None:
        outcomes.append(outcome)
        running.children["mongodb"].end()

    names = ["enriched_events", "event_aggregations", "conversion_funnel", "journey_metrics", "users"]
    options = Options("down", SUITES_FOLDER, False, None, False, "a")
    reader = read(client["shopstream"], names, options)
    check_collections(client["shopstream"], reader, lambda: Engine(tmp_path / "gx", "test"), keep)
    assert [one.collection for one in outcomes] == names
    assert (outcomes[0].error, outcomes[0].critical) == (None, 0)
    assert str(outcomes[-1].error).startswith("MongoDB: ")
