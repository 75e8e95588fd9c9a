"""An Airflow of the tests' own, set up before anything imports airflow: its home is a temporary folder."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]
DAGS = REPOSITORY / "dags"
PLUGINS = REPOSITORY / "plugins"

_home: tempfile.TemporaryDirectory[str] | None = None


def set_up() -> None:
    """Point Airflow at a new home; a stack's or a developer's settings in the environment do not count."""
    global _home
    if _home is not None:
        return
    for name in list(os.environ):
        if name.startswith(("AIRFLOW", "SHOPSTREAM_", "MONGODB_", "KAFKA_")):
            del os.environ[name]
    _home = tempfile.TemporaryDirectory(prefix="shopstream-airflow-")
    os.environ |= {
        "AIRFLOW_HOME": _home.name,
        "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(PLUGINS),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
    }
    # Airflow appends its plugins folder itself, but only where something initialises it.
    sys.path.append(str(PLUGINS))
