"""The house operator for every batch job."""

from __future__ import annotations

import re
import signal
from collections.abc import Sequence
from typing import Any, ClassVar

from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException

from shopstream.config import Config, ConfigError
from shopstream.runtimes import batch_runtime
from shopstream.runtimes.base import BatchRuntime, JobOutcome, JobRuntimeError

EXIT_BAD_INPUT = 2
EXIT_SKIPPED = 99


class SparkJobOperator(BaseOperator):
    """Runs `spark_jobs.jobs.<job>` in the configured runtime; the job's metrics become the task's XCom.

    Args:
        job: Name of the job's module.
        arguments: Its command line. Templated; an argument that renders to nothing is left out, so that
            `"{{ '--limit=%s' % params.limit if params.limit }}"` makes an option optional.

    Raises:
        AirflowFailException: Bad input or configuration: exit status 2, or the environment is malformed. No retry.
        AirflowSkipException: The job found nothing to do: exit status 99.
        AirflowException: Anything else that is not success.
    """

    template_fields: Sequence[str] = ("arguments",)
    template_fields_renderers: ClassVar[dict[str, str]] = {"arguments": "json"}
    ui_color = "#f5e6d3"

    def __init__(self, *, job: str, arguments: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not re.fullmatch(r"[a-z][a-z_]*", job):
            raise ValueError(f"{job!r} cannot be the name of a job's module")
        self.job = job
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


def metrics_or_raise(job: str, outcome: JobOutcome) -> dict[str, Any]:
    """Turn a job's end into what Airflow understands.

    Args:
        job: Name of the job, for messages.
        outcome: How it ended.

    Returns:
        The metrics of a job that succeeded; see `SparkJobOperator` for the exceptions.
    """
    if outcome.status == 0:
        if outcome.result is None:
            raise AirflowException(f"job {job} ended well but wrote no result")
        return outcome.result
    last_line = next((line for line in reversed(outcome.tail) if line.strip()), "it printed nothing")
    if outcome.status == EXIT_SKIPPED:
        raise AirflowSkipException(outcome.skipped or last_line)
    if outcome.status == EXIT_BAD_INPUT:
        raise AirflowFailException(f"job {job}: {outcome.error or last_line}")
    lines = "\n".join(outcome.tail)
    raise AirflowException(
        f"job {job} {_ending(outcome.status)}: {outcome.error or last_line}\nIts last lines:\n{lines}"
    )


def _ending(status: int) -> str:
    if status > 0:
        return f"failed with exit status {status}"
    hint = " (out of memory?)" if -status == signal.SIGKILL else ""
    return f"was ended by {signal.Signals(-status).name}{hint}"
