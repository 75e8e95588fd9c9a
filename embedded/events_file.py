"""A new events file in SHOPSTREAM_EVENTS: its products and users are seeded without being asked."""

from __future__ import annotations

import json
from pathlib import Path

from embedded.airflow_api import AirflowApi
from embedded.progress import Progress
from embedded.stack import Stack

SEED_DAG = "seed_dimensions"


def seed_if_new(stack: Stack, progress: Progress) -> None:
    """Trigger `seed_dimensions` if SHOPSTREAM_EVENTS names another file, or other content, than at the last time.

    Raises:
        StackError: Airflow does not answer, or has not parsed the DAG.
    """
    settings = stack.settings
    if settings.events is None:
        return
    seeded = settings.state / "events-file.json"
    identity = _identity(settings.events)
    if seeded.is_file() and json.loads(seeded.read_text()) == identity:
        return
    login = stack.credentials
    api = AirflowApi(settings.airflow_url, login.airflow_user, login.airflow_password)
    api.await_dags({SEED_DAG})
    api.trigger(SEED_DAG, {"file": str(settings.events)})
    seeded.write_text(json.dumps(identity))
    progress.say(f"{SEED_DAG}: triggered for the new events file {settings.events}")


def _identity(path: Path) -> dict[str, object]:
    found = path.stat()
    return {"path": str(path), "size": found.st_size, "modified": found.st_mtime_ns}
