import signal
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException

from shopstream.config import Config
from shopstream.operators import local_job
from shopstream.operators.local_job import LocalJobOperator
from shopstream.operators.outcome import metrics_or_raise
from shopstream.operators.spark_job import SparkJobOperator
from shopstream.runtimes.base import JobOutcome


class RecordingRuntime:
    """Stands in for a runtime: remembers what it was asked to do."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, list[str]]] = []
        self.ended = 0

    def run(self, job: str, arguments: Sequence[str]) -> JobOutcome:
        self.calls.append((job, list(arguments)))
        return JobOutcome(0, {"rows": 3})

    def end(self) -> None:
        self.ended += 1


def test_jobs_run_locally_unless_one_says_otherwise() -> None:
    assert SparkJobOperator is LocalJobOperator


def test_metrics_come_back_and_empty_arguments_are_left_out(environment: pytest.MonkeyPatch) -> None:
    runtime = RecordingRuntime()
    environment.setattr(local_job, "batch_runtime", lambda _config: runtime)
    operator = SparkJobOperator(task_id="t", job="time_series", arguments=["--as-of=x", "", "--flag"])
    assert operator.execute({}) == {"rows": 3}
    assert runtime.calls == [("time_series", ["--as-of=x", "--flag"])]
    operator.on_kill()
    assert runtime.ended == 1


def test_on_kill_before_the_job_started_does_nothing() -> None:
    SparkJobOperator(task_id="t", job="features").on_kill()


def test_a_real_script_from_end_to_end(spark_python: Callable[[str], Config]) -> None:
    spark_python('#!/bin/sh\nfor last; do :; done\necho \'{"rows": 7}\' > "$last"\n')
    assert SparkJobOperator(task_id="t", job="features").execute({}) == {"rows": 7}


@pytest.mark.parametrize(
    ("outcome", "error", "message"),
    [
        (JobOutcome(0), AirflowException, "job churn ended well but wrote no result"),
        (JobOutcome(2, error="no column price", tail=("a", "b")), AirflowFailException, "job churn: no column price"),
        (JobOutcome(2, tail=("usage: x", "")), AirflowFailException, "job churn: usage: x"),
        (JobOutcome(99, skipped="3 of 14 days"), AirflowSkipException, "3 of 14 days"),
        (JobOutcome(99), AirflowSkipException, "it printed nothing"),
        (
            JobOutcome(1, tail=("Traceback", "ValueError: x")),
            AirflowException,
            "job churn failed with exit status 1: ValueError: x\nIts last lines:\nTraceback\nValueError: x",
        ),
        (
            JobOutcome(-signal.SIGKILL, tail=("x",)),
            AirflowException,
            "job churn was ended by SIGKILL (out of memory?): x\nIts last lines:\nx",
        ),
        (
            JobOutcome(1, tail=("x",), fault="was killed for its memory: more than its limit of 2Gi"),
            AirflowException,
            "job churn was killed for its memory: more than its limit of 2Gi: x\nIts last lines:\nx",
        ),
        (
            JobOutcome(-signal.SIGSEGV),
            AirflowException,
            "job churn was ended by SIGSEGV: it printed nothing\nIts last lines:\n",
        ),
    ],
)
def test_ends_and_exceptions(outcome: JobOutcome, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        metrics_or_raise("churn", outcome)
    assert type(caught.value) is error
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("variable", "value", "error"),
    [
        ("MONGODB_URI", "nonsense", AirflowFailException),
        ("SHOPSTREAM_RUNTIME", "mainframe", AirflowFailException),
        ("SHOPSTREAM_SPARK_PYTHON", "/nowhere/python", AirflowException),
    ],
)
def test_a_bad_environment_fails_the_task(
    environment: pytest.MonkeyPatch, variable: str, value: str, error: type[Exception]
) -> None:
    environment.setenv(variable, value)
    with pytest.raises(error, match=variable) as caught:
        SparkJobOperator(task_id="t", job="features").execute({})
    assert type(caught.value) is error


@pytest.mark.parametrize("job", ["", "../x", "a-b", "Features", "a b"])
def test_a_job_name_is_a_module_name(job: str) -> None:
    with pytest.raises(ValueError, match="name of a job"):
        SparkJobOperator(task_id="t", job=job)


def test_nothing_is_read_when_the_operator_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: Any) -> None:
        raise AssertionError("the environment was read while a DAG was parsed")

    monkeypatch.setattr(Config, "from_env", forbidden)
    SparkJobOperator(task_id="t", job="features", arguments=["--as-of={{ x }}"])
