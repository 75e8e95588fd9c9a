"""The embedded Kafka broker: one KRaft node that is broker and controller."""

from __future__ import annotations

import os
import secrets
import socket
import struct
import subprocess
from pathlib import Path

from embedded.config import REPOSITORY, Settings
from embedded.environments import run
from embedded.errors import StackError

# Without an idle stack paying for it: 256 MB of heap take 30,000 events/s; the serial collector saves 150 MB of RSS. A
# broker on a laptop never earns back what the optimising compiler takes: without it a start costs a third less CPU.
JVM_OPTIONS = (
    "-Xms128m",
    "-Xmx256m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:+ExitOnOutOfMemoryError",
    "-Djava.awt.headless=true",
    "-Djava.net.preferIPv4Stack=true",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd HH:mm:ss",
    # Prints every one of 400 settings at each start.
    "-Dorg.slf4j.simpleLogger.log.org.apache.kafka.common=warn",
)


def data_folder(settings: Settings) -> Path:
    """The broker's log directory."""
    return settings.state / "kafka"


def properties_file(settings: Settings) -> Path:
    """The generated server.properties."""
    return settings.run / "kafka.properties"


def properties(settings: Settings) -> str:
    """Content of server.properties."""
    values = {
        "process.roles": "broker,controller",
        "node.id": 1,
        # A static voter: a quorum kept in the data would pin the controller's port for ever.
        "controller.quorum.voters": f"1@127.0.0.1:{settings.kafka_controller_port}",
        "listeners": f"PLAINTEXT://127.0.0.1:{settings.kafka_port},CONTROLLER://127.0.0.1:{settings.kafka_controller_port}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{settings.kafka_port}",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "log.dirs": data_folder(settings),
        # The stream starts from the earliest offset and must be able to do so again: nothing expires.
        "log.retention.ms": -1,
        "auto.create.topics.enable": "false",
        "offsets.retention.minutes": 2147483647,
        # One node, few topics: internal topics without replicas and with few partitions start faster.
        "offsets.topic.replication.factor": 1,
        "offsets.topic.num.partitions": 4,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "transaction.state.log.num.partitions": 4,
        "share.coordinator.state.topic.replication.factor": 1,
        "share.coordinator.state.topic.min.isr": 1,
        "share.coordinator.state.topic.num.partitions": 1,
        "group.initial.rebalance.delay.ms": 0,
        "num.network.threads": 2,
        "num.io.threads": 4,
        "background.threads": 4,
        # The default of 128 MB is half of the heap.
        "log.cleaner.dedupe.buffer.size": 16777216,
    }
    return "".join(f"{key}={value}\n" for key, value in values.items())


def command(settings: Settings, java_home: Path) -> list[str]:
    """The broker's command line."""
    return [*_java(settings, java_home), *JVM_OPTIONS, "kafka.Kafka", str(properties_file(settings))]


def prepare(settings: Settings, java_home: Path) -> None:
    """Write the configuration; give the storage its identity if it has none yet."""
    properties_file(settings).write_text(properties(settings))
    if (data_folder(settings) / "meta.properties").exists():
        return
    tool = ["kafka.tools.StorageTool", "format", "--ignore-formatted", "--cluster-id", new_cluster_id()]
    format_storage = [*_java(settings, java_home), *tool, "--config", str(properties_file(settings))]
    run(format_storage, settings.logs / "kafka-format.log", "Kafka's storage cannot be formatted")


def new_cluster_id() -> str:
    """Make an id as Kafka does: 16 random bytes as URL-safe base64, which never begins with a dash.

    Its tools would take such an id for an option (KAFKA-13741).
    """
    while (made := secrets.token_urlsafe(16)).startswith("-"):
        pass
    return made


def answers(servers: str, timeout: float = 2.0) -> bool:
    """Whether one of `servers` (host:port,...) answers an ApiVersions request, the first of every Kafka client.

    A broker does so once it has left the start-up phase. Layout: the protocol guide's request header v1, api key 18.
    """
    body = struct.pack(">hhih", 18, 0, 1, 6) + b"health"
    for server in servers.split(","):
        host, _, port = server.rpartition(":")
        try:
            with socket.create_connection((host, int(port)), timeout) as connection:
                connection.sendall(struct.pack(">i", len(body)) + body)
                reply = connection.recv(10)
                if len(reply) == 10 and struct.unpack(">ih", reply[4:]) == (1, 0):
                    return True
        except OSError:
            continue
    return False


def create_topic(settings: Settings, airflow_python: Path, partitions: int) -> None:
    """Create the events topic if it is missing; the environment of Airflow has the client for it.

    Raises:
        StackError: the broker refused.
    """
    create = [str(airflow_python), "-m", "embedded.topic", settings.kafka_servers, settings.topic, str(partitions)]
    environ = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    result = subprocess.run(create, capture_output=True, text=True, env=environ)
    if result.returncode:
        lines = result.stderr.strip().splitlines() or ["no output"]
        raise StackError(
            f"topic {settings.topic} cannot be created at {settings.kafka_servers}: {lines[-1]} (see make logs)"
        )


def _java(settings: Settings, java_home: Path) -> list[str]:
    return [str(java_home / "bin/java"), "-cp", f"{settings.jars / 'kafka'}/*"]
