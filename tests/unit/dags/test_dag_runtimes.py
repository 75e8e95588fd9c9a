"""The same DAGs in both runtimes: what differs is the class behind `SparkJobOperator`, and nothing that it is told."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest
from airflow_for_tests import DAGS

DESCRIBE = f"""
import json, sys
from airflow.dag_processing.dagbag import DagBag
from airflow.serialization.serialized_objects import DagSerialization
from shopstream.operators.spark_job import SparkJobOperator
bag = DagBag({str(DAGS)!r})
assert not bag.import_errors and not bag.captured_warnings, (bag.import_errors, bag.captured_warnings)
def told(task):
    return {{
        "job": getattr(task, "job", None), "arguments": [str(one) for one in getattr(task, "arguments", ())],
        "retries": task.retries, "timeout": str(task.execution_timeout), "rule": task.trigger_rule,
        "upstream": sorted(task.upstream_task_ids), "outlets": [one.name for one in task.outlets],
        "doc": task.doc_md,
    }}
for dag in bag.dags.values():
    json.dumps(DagSerialization.to_dict(dag))
tasks = {{f"{{dag.dag_id}}.{{task.task_id}}": task for dag in bag.dags.values() for task in dag.tasks}}
print(json.dumps({{
    "class": SparkJobOperator.__name__,
    "jobs": sorted(name for name, task in tasks.items() if isinstance(task, SparkJobOperator)),
    "tasks": {{name: told(task) for name, task in tasks.items()}},
}}))
"""


def parsed(runtime: str) -> dict[str, Any]:
    """What a dag-processor of that runtime makes of the DAGs."""
    env = {**os.environ, "SHOPSTREAM_RUNTIME": runtime, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", DESCRIBE], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.fixture(scope="module")
def local() -> dict[str, Any]:
    return parsed("local")


@pytest.fixture(scope="module")
def kubernetes() -> dict[str, Any]:
    return parsed("kubernetes")


def test_jobs_are_processes_or_pods(local: dict[str, Any], kubernetes: dict[str, Any]) -> None:
    assert (local["class"], kubernetes["class"]) == ("LocalJobOperator", "PodJobOperator")
    assert local["jobs"] == kubernetes["jobs"]
    assert len(local["jobs"]) == 14


def test_they_are_told_the_same(local: dict[str, Any], kubernetes: dict[str, Any]) -> None:
    assert local["tasks"] == kubernetes["tasks"]
