"""# data_quality

## What
Validates what is new in every collection against its suite in `expectations/`, reconciles Kafka's offsets with what
landed in MongoDB, recomputes a sample of what the stream has counted, publishes a report and writes one document per
check to `data_quality_results`. Task `validate` makes all checks and succeeds whatever the data looks like; `judge` has
one mapped task per check, which fails where something critical was found, and names it. Warnings fail nothing.

A check reads what was written since the last one that found nothing critical; tick **Whole collections** to read all.

## Upstream
All collections. Runs hourly, and when `seed_dimensions` or `train_models` have published (assets
`shopstream_dimensions`, `shopstream_models`); new dimensions alone have only themselves checked.

## Owner
data-platform

## When it fails
`judge` failed: the data is wrong. The log of the mapped task names each expectation, with figures, up to ten offending
`_id`s, what it means and what to do, and links to the run's page in *Browse > Data quality*. Clearing `judge` says the
same again; once the cause is removed, trigger a new run. `validate` failed: the checks themselves broke; its last log
lines say why, and it is retried. A check that could not be made (a suite with a typo, named with file and expectation)
fails its own `judge` only. A run that takes longer than half an hour is reported as overdue, in the triggerer's log and
to the webhook.

## When a failure may be ignored
During a replay flat out, the reconciliation may see events that are still on their way: then the next hourly run is
green. Any other critical finding needs a look.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, AssetOrTimeSchedule, CronTriggerTimetable, Param, task
from airflow.sdk.definitions.callback import AsyncCallback
from airflow.sdk.definitions.deadline import DeadlineAlert, DeadlineReference

from shopstream.assets import DIMENSIONS, MODELS
from shopstream.callbacks import report_overdue
from shopstream.defaults import DEFAULT_ARGS
from shopstream.operators.spark_job import SparkJobOperator
from shopstream.quality import CHECKS, OVERDUE, verdict
from shopstream.templates import COLLECTIONS, MACROS, QUALITY_PAGE, RUN_ID

with DAG(
    dag_id="data_quality",
    description="Validates every collection and fails on critical findings",
    doc_md=__doc__,
    schedule=AssetOrTimeSchedule(
        timetable=CronTriggerTimetable("0 * * * *", timezone="UTC"),
        assets=DIMENSIONS | MODELS,
    ),
    # No start date: it begins with the next full hour. One in the past would have it check an empty platform at once.
    start_date=None,
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULT_ARGS,
    user_defined_macros=MACROS,
    tags=["shopstream", "quality"],
    deadline=DeadlineAlert(
        name="overdue",
        reference=DeadlineReference.DAGRUN_QUEUED_AT,
        interval=OVERDUE,
        callback=AsyncCallback(report_overdue, kwargs={"minutes": OVERDUE // timedelta(minutes=1)}),
    ),
    params={
        "collections": Param(
            None,
            type=["null", "array"],
            items={"type": "string"},
            examples=list(CHECKS),
            title="Collections",
            description="What to check. Empty: everything.",
        ),
        "whole": Param(
            False,
            type="boolean",
            title="Whole collections",
            description="Check all documents, and not only what is new since the last check.",
        ),
        "limit": Param(
            0,
            type="integer",
            minimum=0,
            title="Limit (documents)",
            description="Most documents to check of a collection, the newest ones. 0: a million, or all of the whole.",
        ),
    },
):
    validate = SparkJobOperator(
        task_id="validate",
        job="validate",
        arguments=[
            f"--run-id={RUN_ID}",
            f"--report-url={QUALITY_PAGE}",
            COLLECTIONS,
            "{{ '--whole' if params.whole }}",
            "{{ '--limit=%d' % params.limit if params.limit }}",
        ],
        doc_md="Checks; finds, but does not judge.",
    )

    @task(
        execution_timeout=timedelta(minutes=1),
        map_index_template="{{ task.op_kwargs['check'][0] }}",
        doc_md="Fails on critical findings of one check, and lists them.",
    )
    def judge(check: tuple[str, dict[str, Any]]) -> str:
        """Judge what `validate` reported of one check."""
        return verdict(*check)

    judge.expand(check=validate.output)
