"""Health of every component, asked from the component itself."""

from __future__ import annotations

from collections.abc import Mapping

from embedded import airflow, kafka, mongodb
from embedded.config import Settings
from embedded.programs import KAFKA, MONGODB
from embedded.supervision import ProgramState


def unhealthy(settings: Settings, uri: str, names: list[str], states: Mapping[str, ProgramState]) -> list[str]:
    """Those of `names` that do not run or do not answer. `uri` is the database's connection string."""
    report = airflow.health(settings) if any(name in airflow.COMMANDS for name in names) else {}
    return [name for name in names if not is_healthy(settings, uri, name, states.get(name), report)]


def is_healthy(
    settings: Settings,
    uri: str,
    name: str,
    state: ProgramState | None,
    report: Mapping[str, Mapping[str, str]],
) -> bool:
    """Whether one component runs and answers: Kafka a client's first request, MongoDB an authenticated ping.

    Airflow's parts are judged by `report`, its own health report.
    """
    # STARTING is a matter of supervisord's startsecs: it may answer already.
    if state is None or state.state not in ("RUNNING", "STARTING"):
        return False
    if name == KAFKA:
        return kafka.answers(settings.kafka_servers)
    if name == MONGODB:
        return mongodb.check(uri) is None
    return airflow.is_healthy(name, report, state.started)
