"""Kafka's configuration and first request; MongoDB's error messages; Airflow's health report and servers."""

import base64
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from embedded import airflow, kafka, mongodb
from embedded.config import Settings
from embedded.credentials import generate
from embedded.environment import airflow_variables


def test_kafka_listens_on_this_machine_and_forgets_nothing(settings: Settings) -> None:
    lines = dict(line.split("=", 1) for line in kafka.properties(settings).splitlines())
    assert lines["listeners"] == "PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:9093"
    assert lines["log.retention.ms"] == "-1"
    assert lines["auto.create.topics.enable"] == "false"
    assert lines["log.dirs"].startswith(str(settings.state))


def test_no_cluster_id_of_kafka_looks_like_an_option() -> None:
    made = [kafka.new_cluster_id() for _ in range(2_000)]
    assert len(set(made)) == len(made)
    # One of 64 random ones begins with a dash.
    assert not [one for one in made if one.startswith("-")]
    assert {len(base64.urlsafe_b64decode(one + "==")) for one in made} == {16}


@contextmanager
def answering(reply: bytes) -> Iterator[str]:
    """A server that answers one connection with `reply`. Yields host:port."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(100)
                connection.sendall(reply)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        thread.join()


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (struct.pack(">iih", 6, 1, 0), True),
        (struct.pack(">iih", 6, 1, 35), False),
        (struct.pack(">iih", 6, 9, 0), False),
        (b"HTTP/1.1 400 Bad Request\r\n", False),
        (b"", False),
    ],
)
def test_only_a_broker_counts_as_a_broker(reply: bytes, expected: bool) -> None:
    with answering(reply) as address:
        assert kafka.answers(address, timeout=2) is expected


def test_no_broker_at_all() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        assert kafka.answers(f"127.0.0.1:{probe.getsockname()[1]}", timeout=1) is False


def test_mongodb_messages_are_short_and_hold_no_password() -> None:
    uri = "mongodb://me:s3cret@db.example:27017/x"
    raw = f"cannot log in to {uri} with s3cret, full error: {{'ok': 0}}"
    assert mongodb.shorten(raw, uri) == "cannot log in to mongodb://***@db.example:27017/x with ***"
    refused = "127.0.0.1:1: [Errno 111] refused (configured timeouts: ...), Timeout: 3s, Topology Description: <...>"
    assert mongodb.shorten(refused, "mongodb://127.0.0.1:1") == "127.0.0.1:1: [Errno 111] refused"


def test_mongodb_that_is_not_there_is_a_problem_not_an_exception() -> None:
    assert "refused" in str(mongodb.check("mongodb://u:pw@127.0.0.1:1/x", timeout=0.3))
    assert "pw" not in str(mongodb.check("mongodb://u:pw@127.0.0.1:99999/x", timeout=0.3))


def test_airflow_health_ignores_the_heartbeat_of_a_predecessor() -> None:
    report = {"scheduler": {"status": "healthy", "latest_scheduler_heartbeat": "1970-01-01T00:01:00+00:00"}}
    assert airflow.is_healthy("airflow-scheduler", report, started=59)
    assert not airflow.is_healthy("airflow-scheduler", report, started=61)
    assert not airflow.is_healthy("airflow-triggerer", report, started=0)
    assert not airflow.is_healthy("airflow-api-server", {}, started=0)
    assert airflow.is_healthy("airflow-api-server", {"metadatabase": {"status": "healthy"}}, started=61)
    assert not airflow.is_healthy("airflow-task-api", {"metadatabase": {"status": "healthy"}, "task_api": {}}, 0)
    assert airflow.is_healthy("airflow-task-api", {"task_api": {"status": "healthy"}}, started=61)


def test_airflow_serves_people_and_tasks_from_two_processes(settings: Settings) -> None:
    people, tasks = (airflow.command(settings, name) for name in ("airflow-api-server", "airflow-task-api"))
    assert people[-2:] == ["--apps", "core"]
    assert tasks[-4:] == ["--apps", "execution", "--port", str(settings.airflow_task_port)]
    variables = airflow_variables(settings, generate())
    assert variables["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == f"{settings.airflow_task_url}/execution/"
    assert variables["AIRFLOW__API__PORT"] == str(settings.airflow_port) != str(settings.airflow_task_port)


def test_airflow_log_servers_are_not_started(settings: Settings) -> None:
    for program in ("airflow-scheduler", "airflow-triggerer"):
        assert "--skip-serve-logs" in airflow.command(settings, program)
