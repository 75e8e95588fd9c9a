"""Batch jobs as processes of the machine that the task runs on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from shopstream.config import Config, ConfigError
from shopstream.operators.outcome import checked_job, metrics_or_raise
from shopstream.runtimes import batch_runtime
from shopstream.runtimes.base import BatchRuntime, JobRuntimeError


class LocalJobOperator(BaseOperator):
    """Runs `spark_jobs.jobs.<job>` beside its task; see `SparkJobOperator`."""

    template_fields: Sequence[str] = ("arguments",)
    template_fields_renderers: ClassVar[dict[str, str]] = {"arguments": "json"}
    ui_color = "#f5e6d3"

    def __init__(self, *, job: str, arguments: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.job = checked_job(job)
        self.arguments = list(arguments)
        self._runtime: BatchRuntime | None = None

    def execute(self, context: Context) -> dict[str, Any]:  # noqa: ARG002
        """Run the job and return its metrics."""
        try:
            self._runtime = batch_runtime(Config.from_env())
            outcome = self._runtime.run(self.job, [argument for argument in self.arguments if argument])
        except ConfigError as error:
            raise AirflowFailException(str(error)) from None
        except JobRuntimeError as error:
            raise AirflowException(str(error)) from None
        return metrics_or_raise(self.job, outcome)

    def on_kill(self) -> None:
        """End the job when the task is cleared, marked or timed out; `execute` waits for its end."""
        if self._runtime:
            self._runtime.end()
