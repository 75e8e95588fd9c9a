"""What befalls a stream: a lost checkpoint, expired records, corrected dimensions, records of a newer producer, `down`.

A stack of its own: these tests delete checkpoints and records, and compare whole collections.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
from kafka import KafkaAdminClient, KafkaProducer, TopicPartition
from kafka.admin import NewTopic

from embedded.config import REPOSITORY
from embedded.preflight import taken
from spark_jobs.events.source import COLUMNS
from tests.oracle import assert_streaming_collections, records
from tests.stack import PORTS, RunningStack, running_stack, wait_for

START = datetime(2019, 10, 1, 10, tzinfo=UTC)
# The first hours of the same day, as published.
PUBLIC_EVENTS = REPOSITORY.parent / "shared" / "data" / "2019-Oct-head.csv.gz"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    events = tmp_path_factory.mktemp("shop") / "events.csv"
    row = ["2019-09-01 00:00:00 UTC", "view", "999", "7", "toys.robot", "acme", "5.00", "999", "s"]
    events.write_text(f"{','.join(COLUMNS)}\n{','.join(row)}\n")
    with running_stack({"SHOPSTREAM_EVENTS": str(events)}) as running:
        yield running


def event(number: int, minutes: float, **fields: Any) -> dict[str, Any]:
    return {
        "event_id": f"event-{number}",
        "event_time": (START + timedelta(minutes=minutes)).isoformat(),
        "event_type": ("view", "view", "cart", "purchase")[number % 4],
        "product_id": 1 + number % 5,
        "category_id": 7,
        "category_code": "electronics.phone",
        "brand": "acme",
        "price": 10.5 + number,
        "user_id": 1 + number % 3,
        "user_session": f"session-{number % 3}",
        **fields,
    }


def produce(stack: RunningStack, events: list[Any]) -> None:
    """Send records in order; a visit's are in one partition."""
    producer = KafkaProducer(bootstrap_servers=stack.exported["KAFKA_BOOTSTRAP_SERVERS"])
    for one in events:
        value = one if isinstance(one, bytes) else json.dumps(one).encode()
        key = one["user_session"].encode() if isinstance(one, dict) else None
        producer.send("customer_events", value, key=key, partition=0)
    producer.flush()
    producer.close()


def drain(stack: RunningStack) -> None:
    drained = stack.job("await_stream", "--timeout", "180")
    assert drained.returncode == 0, drained.stdout + drained.stderr


def stop(stack: RunningStack) -> None:
    stack.run_dag("streaming_lifecycle", {"action": "stop"})


def checkpoint(stack: RunningStack) -> Path:
    return Path(stack.environ["SHOPSTREAM_HOME"]) / "state" / "checkpoints" / "stream"


def rebuilt(stack: RunningStack) -> None:
    """Wait until nothing of an earlier checkpoint is left."""
    record = checkpoint(stack) / "shopstream.json"
    wait_for(lambda: not json.loads(record.read_text())["rebuild_until"], 60, "rebuilt")


def driver(stack: RunningStack) -> dict[str, Any]:
    return stack.db["stream_health"].find_one({"_id": "driver"}) or {}


def assert_books_balance(stack: RunningStack) -> None:
    document = driver(stack)
    read = sum(document["end_offsets"].values()) - sum(document["start_offsets"].values())
    assert document["accepted"] + document["dead_lettered"] + document["lost_records"] == read


SENT: list[Any] = []


def send_and_drain(stack: RunningStack, events: list[Any]) -> None:
    produce(stack, events)
    SENT.extend(events)
    drain(stack)


def test_dimensions_of_a_new_events_file_are_seeded_unasked(shop: RunningStack) -> None:
    wait_for(lambda: shop.db["users"].find_one({"user_id": 999}) is not None, 120, "the file's user is known")
    assert (shop.db["products"].find_one({"product_id": 999}) or {})["category_name"] == "toys"
    # A second `up`, by the fixture, has found the file known.
    assert len(shop.api.runs("seed_dimensions")) == 1


def test_public_events_are_in_every_collection(shop: RunningStack) -> None:
    if not PUBLIC_EVENTS.exists():
        pytest.skip(f"the public events are not at hand ({PUBLIC_EVENTS})")
    shop.run_dag("streaming_lifecycle", {"action": "ensure"})
    replayed = shop.job("replay_events", "--file", str(PUBLIC_EVENTS))
    assert replayed.returncode == 0, replayed.stdout + replayed.stderr
    drain(shop)
    SENT.extend(records(PUBLIC_EVENTS))
    assert_streaming_collections(shop, SENT)
    assert driver(shop)["accepted"] + driver(shop)["dead_lettered"] == len(SENT)
    assert driver(shop)["late_events"] == 0


def test_events_out_of_order_within_ten_minutes_are_all_counted(shop: RunningStack) -> None:
    shop.run_dag("streaming_lifecycle", {"action": "ensure"})
    send_and_drain(shop, [event(number, minutes=20 - number % 10) for number in range(30)])
    # Earlier than all of a visit's events so far: its document gets another `_id`.
    send_and_drain(shop, [event(100 + number, minutes=10.5 + number / 10) for number in range(6)])
    assert_streaming_collections(shop, SENT)
    assert driver(shop)["late_events"] == 0


def test_fields_of_a_newer_producer_and_garbage_do_no_harm(shop: RunningStack) -> None:
    refused = shop.db["dead_letter_events"].count_documents({})
    newer = [event(200 + number, 21, page_url="/x", device={"os": "linux"}) for number in range(5)]
    send_and_drain(shop, [*newer, b"\xff\xfe not json", b"", event(210, 22, price=-1)])
    assert_streaming_collections(shop, SENT)
    assert shop.db["dead_letter_events"].count_documents({}) == refused + 3
    assert_books_balance(shop)


def test_down_ends_the_stack_and_nothing_else_and_up_goes_on_where_it_was(shop: RunningStack) -> None:
    pid = driver(shop)["pid"]
    # Called like the stream's driver, but nobody's.
    other = subprocess.Popen([sys.executable, "-c", "input()", "spark_jobs.jobs.stream"], stdin=subprocess.PIPE)
    down = shop.launcher("down")
    survived = other.poll() is None
    other.communicate(b"\n")
    assert down.returncode == 0, down.stdout + down.stderr
    assert survived
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert not [reason for name in PORTS if (reason := taken(int(shop.environ[name])))]
    up = shop.launcher("up")
    assert up.returncode == 0, up.stdout + up.stderr
    shop.run_dag("streaming_lifecycle", {"action": "ensure"})
    send_and_drain(shop, [event(250 + number, 23) for number in range(5)])
    assert driver(shop)["pid"] != pid
    assert_streaming_collections(shop, SENT)
    assert_books_balance(shop)


def test_a_driver_whose_java_is_ended_names_the_reason_and_comes_back(shop: RunningStack) -> None:
    first = driver(shop)
    python = psutil.Process(first["pid"])
    # As Kubernetes does with a pod that has no time left: Python is not told.
    java = next(one for one in (*python.parents(), *python.children(recursive=True)) if one.name() == "java")
    java.terminate()
    wait_for(lambda: driver(shop)["state"] == "failed", 60, "it has failed")
    assert "unpersist" not in driver(shop)["error"]
    shop.run_dag("streaming_lifecycle", {"action": "ensure"})
    send_and_drain(shop, [event(270 + number, 24) for number in range(5)])
    assert driver(shop)["pid"] != first["pid"]
    assert_streaming_collections(shop, SENT)
    assert_books_balance(shop)


def test_late_events_are_kept_counted_and_in_no_window(shop: RunningStack) -> None:
    send_and_drain(shop, [event(300, minutes=90)])
    send_and_drain(shop, [event(301, minutes=91)])
    before = list(shop.db["event_aggregations"].find().sort("_id"))
    late = [event(310 + number, minutes=5) for number in range(4)]
    produce(shop, late)
    drain(shop)
    assert driver(shop)["late_events"] == len(late)
    assert shop.db["enriched_events"].count_documents({"event_id": {"$in": [one["event_id"] for one in late]}}) == 4
    assert list(shop.db["event_aggregations"].find().sort("_id")) == before
    shop.db["enriched_events"].delete_many({"event_id": {"$in": [one["event_id"] for one in late]}})
    assert_streaming_collections(shop, SENT)


def test_a_corrected_category_is_in_all_events_that_follow(shop: RunningStack, tmp_path: Path) -> None:
    before = driver(shop)
    products = tmp_path / "products.csv"
    products.write_text("product_id,category_name\n1,corrected\n")
    seeded = shop.job("seed_dimensions", "--events", shop.environ["SHOPSTREAM_EVENTS"], "--products-csv", str(products))
    assert seeded.returncode == 0, seeded.stdout + seeded.stderr
    send_and_drain(shop, [event(1000, minutes=92)])
    corrected = shop.db["enriched_events"].find_one({"event_id": "event-1000"})
    assert corrected is not None
    assert corrected["category_name"] == "corrected"
    assert driver(shop)["pid"] == before["pid"]
    assert driver(shop)["dimensions"] != before["dimensions"]


def test_a_lost_checkpoint_is_rebuilt_without_a_trace(shop: RunningStack) -> None:
    stop(shop)
    before = driver(shop)
    shutil.rmtree(checkpoint(shop))
    shop.run_dag("streaming_lifecycle", {"action": "ensure"})
    drain(shop)
    rebuilt(shop)
    # The late events are in the topic still, and late again only if the watermark happens to be past them.
    generations = shop.db["event_aggregations"].distinct("generation")
    assert generations == shop.db["user_session_analytics"].distinct("generation") == [driver(shop)["generation"]]
    assert generations != [before["generation"]]
    late = [event(310 + number, minutes=5) for number in range(4)]
    assert_streaming_collections(shop, [*SENT, *(late if driver(shop)["late_events"] == 0 else [])])
    assert_books_balance(shop)


def test_state_of_another_layout_is_refused_until_a_rebuild_is_asked_for(shop: RunningStack) -> None:
    stop(shop)
    description = checkpoint(shop) / "shopstream.json"
    content = json.loads(description.read_text())
    content["layout"]["cells"] = "struct<older:string>"
    description.write_text(json.dumps(content))
    run_id = shop.run_dag("streaming_lifecycle", {"action": "ensure"}, expect="failed")
    log = "\n".join(shop.api.task_log("streaming_lifecycle", run_id, "streaming_application"))
    assert "cells changed" in log
    assert "action `rebuild`" in log
    shop.run_dag("streaming_lifecycle", {"action": "rebuild"})
    drain(shop)
    assert len(list(checkpoint(shop).parent.glob("stream.*"))) == 1
    assert_books_balance(shop)


def test_expired_records_are_named_and_never_skipped_silently(shop: RunningStack) -> None:
    stop(shop)
    lost = [event(5000 + number, minutes=95) for number in range(7)]
    produce(shop, lost)
    first = driver(shop)["end_offsets"]["0"]
    admin = KafkaAdminClient(bootstrap_servers=shop.exported["KAFKA_BOOTSTRAP_SERVERS"])
    admin.delete_records({TopicPartition("customer_events", 0): first + len(lost)})
    admin.close()
    run_id = shop.run_dag("streaming_lifecycle", {"action": "ensure"}, expect="failed")
    log = "\n".join(shop.api.task_log("streaming_lifecycle", run_id, "streaming_application"))
    assert f"partition 0: offsets {first} to {first + 6} (7 records)" in log
    shop.run_dag("streaming_lifecycle", {"action": "ensure", "accept_data_loss": True})
    produce(shop, [event(6000, minutes=96)])
    drain(shop)
    assert shop.db["enriched_events"].find_one({"event_id": "event-6000"})
    record = shop.db["stream_health"].find_one({"kind": "data_loss"}) or {}
    assert (record["first_offset"], record["next_offset"], record["records"]) == (first, first + 7, 7)
    assert driver(shop)["lost_records"] == 7
    assert_books_balance(shop)
    # Nothing is missing now: what somebody accepts all the same must not be there when something is.
    shop.run_dag("streaming_lifecycle", {"action": "ensure", "accept_data_loss": True})
    assert shop.db["stream_health"].find_one({"_id": "accept_data_loss"}) is None


def test_a_topic_made_anew_costs_no_window_and_no_visit(shop: RunningStack) -> None:
    stop(shop)
    derived = ("event_aggregations", "user_session_analytics", "conversion_funnel")
    before = {name: list(shop.db[name].find()) for name in derived}
    admin = KafkaAdminClient(bootstrap_servers=shop.exported["KAFKA_BOOTSTRAP_SERVERS"])
    admin.delete_topics(["customer_events"])
    wait_for(lambda: "customer_events" not in admin.list_topics(), 60, "the topic is gone")
    admin.create_topics([NewTopic("customer_events", num_partitions=3, replication_factor=1)])
    admin.close()
    # As long again as what the stream has read, and longer: by its offsets it could be the old one.
    produce(shop, [event(7000 + number, minutes=300) for number in range(driver(shop)["end_offsets"]["0"] + 5)])
    run_id = shop.run_dag("streaming_lifecycle", {"action": "ensure"}, expect="failed")
    assert "made anew" in "\n".join(shop.api.task_log("streaming_lifecycle", run_id, "streaming_application"))
    shop.run_dag("streaming_lifecycle", {"action": "rebuild"})
    drain(shop)
    rebuilt(shop)
    for name, documents in before.items():
        assert [shop.db[name].find_one({"_id": one["_id"]}) for one in documents] == documents
        assert shop.db[name].count_documents({}) > len(documents)
    assert_books_balance(shop)
