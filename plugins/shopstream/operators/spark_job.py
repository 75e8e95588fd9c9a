"""The house operator for every batch job: `SparkJobOperator`, whatever runs the jobs.

SparkJobOperator(job=..., arguments=[...], task_id=..., ...)

Runs `spark_jobs.jobs.<job>` in the configured runtime; the job's metrics become the task's XCom. Arguments:

- `job`: name of the job's module.
- `arguments`: its command line. Templated; an argument that renders to nothing is left out, so that
  `"{{ '--limit=%s' % params.limit if params.limit }}"` makes an option optional.

Raises:

- `AirflowFailException`: bad input or configuration: exit status 2, or the environment is malformed. No retry.
- `AirflowSkipException`: the job found nothing to do: exit status 99.
- `AirflowException`: anything else that is not success.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shopstream.config import runtime_name

# An operator is made when its DAG file is parsed, and a pod's is another class than a process's. So this one variable
# is looked at here; whether its value is any good is found out by the task.
if TYPE_CHECKING or runtime_name() != "kubernetes":
    from shopstream.operators.local_job import LocalJobOperator as SparkJobOperator
else:
    from shopstream.operators.pod_job import PodJobOperator as SparkJobOperator

__all__ = ["SparkJobOperator"]
