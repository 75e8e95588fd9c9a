"""# data_quality

## What
Validates every collection against its suite in `expectations/`, reconciles Kafka's offsets with what landed in MongoDB,
publishes a report and writes one document per collection to `data_quality_results`. Task `validate` does the work and
succeeds whatever the data looks like; task `judge` fails where something critical was found, and names it.

## Upstream
All collections. Runs hourly, and when `seed_dimensions` or `train_models` have published (assets
`shopstream_dimensions`, `shopstream_models`); new dimensions alone have only themselves checked.

## Owner
data-platform

## When it fails
`judge` failed: the data is wrong. Its log lists each critical finding with collection, expectation and figures, and
links to the run's page in *Browse > Data quality*, where each expectation has its history. Clearing `judge` says the
same again; once the cause is removed, trigger a new run. `validate` failed: the check itself broke; its last log lines
say why (a suite with a typo is named with file and expectation), and it is retried.

## When a failure may be ignored
During a replay flat out, the reconciliation may see events that are still on their way: then the next hourly run is
green. Any other critical finding needs a look.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, AssetOrTimeSchedule, CronTriggerTimetable, Param, task

from shopstream.assets import DIMENSIONS, MODELS
from shopstream.defaults import DEFAULT_ARGS, START_DATE
from shopstream.operators.spark_job import SparkJobOperator
from shopstream.quality import CHECKS, verdict
from shopstream.templates import COLLECTIONS, MACROS, QUALITY_PAGE, RUN_ID

with DAG(
    dag_id="data_quality",
    description="Validates every collection and fails on critical findings",
    doc_md=__doc__,
    schedule=AssetOrTimeSchedule(
        timetable=CronTriggerTimetable("0 * * * *", timezone="UTC"),
        assets=DIMENSIONS | MODELS,
    ),
    start_date=START_DATE,
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULT_ARGS,
    user_defined_macros=MACROS,
    tags=["shopstream", "quality"],
    params={
        "collections": Param(
            None,
            type=["null", "array"],
            items={"type": "string"},
            examples=list(CHECKS),
            title="Collections",
            description="What to check. Empty: everything.",
        ),
        "limit": Param(
            0,
            type="integer",
            minimum=0,
            title="Limit (documents)",
            description="Newest documents to validate per collection. 0: as many as the check's own bound allows.",
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
            "{{ '--limit=%d' % params.limit if params.limit }}",
        ],
        doc_md="Checks; finds, but does not judge.",
    )

    @task(execution_timeout=timedelta(minutes=1), doc_md="Fails on critical findings, and lists them.")
    def judge(report: dict[str, Any]) -> str:
        """Judge what `validate` reported."""
        return verdict(report)

    judge(validate.output)  # type: ignore[arg-type]  # a reference now, the report at run time
