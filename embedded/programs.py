"""The supervised programs: names, command lines, ports and who stops when."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from embedded import airflow, kafka, mongodb
from embedded.config import Settings

KAFKA = "kafka"
MONGODB = "mongodb"
AIRFLOW = tuple(airflow.COMMANDS)


@dataclass(frozen=True)
class Program:
    """One supervised program.

    `ports` maps each port it listens on to the environment variable that changes it; `stop_seconds` is the time it
    gets between SIGTERM and SIGKILL.
    """

    name: str
    command: tuple[str, ...]
    ports: dict[int, str]
    stop_seconds: int


def programs(settings: Settings, java_home: Path) -> list[Program]:
    """What this stack consists of; servers that the user brings are not part of it. Start order."""
    found: list[Program] = []
    if not settings.external_kafka:
        ports = {
            settings.kafka_port: "SHOPSTREAM_KAFKA_PORT",
            settings.kafka_controller_port: "SHOPSTREAM_KAFKA_CONTROLLER_PORT",
        }
        found.append(Program(KAFKA, tuple(kafka.command(settings, java_home)), ports, 30))
    if not settings.external_mongodb:
        serve = tuple(mongodb.command(settings, settings.mongodb_port, True))
        found.append(Program(MONGODB, serve, {settings.mongodb_port: "SHOPSTREAM_MONGODB_PORT"}, 30))
    listening = {
        "airflow-api-server": {settings.airflow_port: "SHOPSTREAM_AIRFLOW_PORT"},
        "airflow-task-api": {settings.airflow_task_port: "SHOPSTREAM_AIRFLOW_TASK_PORT"},
    }
    for name in AIRFLOW:
        ports = listening.get(name, {})
        found.append(Program(name, tuple(airflow.command(settings, name)), ports, 20))
    return found
