import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "plugins"))

import airflow_for_tests

airflow_for_tests.set_up()

import pytest  # noqa: E402
from airflow.dag_processing.dagbag import DagBag  # noqa: E402


@pytest.fixture(scope="session")
def dagbag() -> DagBag:
    """All DAGs of the platform."""
    return DagBag(airflow_for_tests.DAGS)
