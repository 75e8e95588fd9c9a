"""DAGs of the tests of the kubernetes runtime: jobs that a stand-in plays, and jobs in surroundings with a fault.

A copy of this file is the only one in the DAGs folder of the tests' Airflow.
"""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import DAG, Param

from shopstream.operators.pod_job import PodJobOperator
from shopstream.operators.spark_job import SparkJobOperator

FAULTS = json.loads(os.environ["TEST_FAULTS"])
START = datetime(2026, 1, 1, tzinfo=UTC)
DEFAULTS = {"retries": 1, "retry_delay": timedelta(seconds=1), "execution_timeout": timedelta(minutes=5)}


class FaultyJobOperator(PodJobOperator):
    """A job whose task sees another environment."""

    def __init__(self, *, environment: dict[str, str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.environment = environment

    def execute(self, context: Any) -> Any:
        """Create the pod in the other environment."""
        os.environ.update(self.environment)
        return super().execute(context)

    def trigger_reentry(self, context: Any, event: Any) -> Any:
        """Look at the pod in the other environment."""
        os.environ.update(self.environment)
        return super().trigger_reentry(context, event)


with DAG("job", schedule=None, start_date=START, default_args=DEFAULTS, params={"do": Param("succeed")}):
    SparkJobOperator(task_id="job", job="features", arguments=["--do={{ params.do }}", "{{ '' }}"])

with DAG("short", schedule=None, start_date=START, default_args=DEFAULTS | {"retries": 0}):
    SparkJobOperator(task_id="job", job="features", arguments=["--do=sleep"], execution_timeout=timedelta(seconds=15))

with DAG("faults", schedule=None, start_date=START, default_args=DEFAULTS):
    for name, environment in FAULTS.items():
        FaultyJobOperator(task_id=name, job="features", arguments=["--do=succeed"], environment=environment)
