"""# train_models

## What
Trains and scores the models as of one moment: the end of the run's six-hour interval. Features of each user from the 30
days before it, from those customer segments and churn probabilities; from the same events recommendations, the daily
time series, statistics and journeys. At the end the run is promoted: `latest` moves to it, unless its churn model is
clearly worse than the promoted one on the same users. Then `approve` asks a person, in the UI under *Required Actions*,
for four hours; without an answer the run is not promoted. Snapshots that are too old are dropped last. A run is a pure
function of that moment: repeated or backfilled months later it writes identical documents.

## Upstream
`enriched_events`, as written by the streaming application. It publishes the asset `shopstream_models`, on which
`data_quality` runs. Parameter `as_of`: another moment, for instance the end of a replayed month. Backfill: *Trigger >
Backfill* in the UI, or

    airflow backfill create --dag-id train_models --from-date ... --to-date ... --max-active-runs 2

Both dates are starts of intervals. *Missing Runs* (`--reprocess-behavior none`) leaves alone what has a run, *Missing
and Errored Runs* (`failed`) repeats failed runs, *All Runs* (`completed`) repeats all. No backfill asks for approval.

## Owner
data-platform

## When it fails
The failed task's log ends with the job's last lines. Clear that task; of a run that is older than a day clear
`extract_events` with all after it, because the copy of the events is kept for a day. `Java heap space`: the heap is too
small (`SHOPSTREAM_SPARK_DRIVER_MEMORY`, in pods `memory` in `SHOPSTREAM_POD_RESOURCES`). `SIGKILL (out of memory?)`:
the machine has too little. A *skipped* task is no failure: its log says how much history is missing. Tasks that stay
*scheduled* wait for the pool `training`: two training jobs at a time, of all runs together.

## When a failure may be ignored
When the next interval's run succeeds: `latest` is then newer, and this interval can be backfilled any time.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, CronDataIntervalTimetable, Param, TriggerRule

from shopstream.assets import MODELS
from shopstream.defaults import DEFAULT_ARGS, START_DATE, TRAINING_POOL
from shopstream.operators.approval import ANSWERED_BY, PromotionApproval
from shopstream.operators.spark_job import SparkJobOperator
from shopstream.templates import AS_OF, MACROS, TRAINING_CRON


def job_task(job: str, **kwargs: object) -> SparkJobOperator:
    """Make the task of one job; all of them need nothing but the moment they look back from."""
    return SparkJobOperator(task_id=job, job=job, arguments=[f"--as-of={AS_OF}"], **kwargs)


with DAG(
    dag_id="train_models",
    description="Segments, churn, recommendations, time series, statistics and journeys of every six hours",
    doc_md=__doc__,
    schedule=CronDataIntervalTimetable(TRAINING_CRON, timezone="UTC"),
    start_date=START_DATE,
    catchup=False,
    # A run that waits for approval holds no other one up. A backfill sets its own number of runs, and the pool limits
    # what all of them do at once.
    max_active_runs=2,
    default_args=DEFAULT_ARGS | {"execution_timeout": timedelta(hours=2), "pool": TRAINING_POOL},
    user_defined_macros=MACROS,
    tags=["shopstream", "machine-learning"],
    params={
        "as_of": Param(
            None,
            type=["null", "string"],
            format="date-time",
            title="As of",
            description="Look back from this moment (UTC). Empty: the end of the run's interval.",
        ),
    },
):
    extract = job_task("extract_events", doc_md="Events of the 37 days before `as_of`, once, for all tasks below.")
    features = job_task("features", doc_md="One row per user; `user_feature_engineering`.")
    segments = job_task("segments", doc_md="K-Means segments, named by their profile; `customer_segments`.")
    churn = job_task(
        "churn", doc_md="Who will not come back within 7 days; `churn_predictions`. Skipped where history is too short."
    )
    reports = [
        job_task("recommendations", doc_md="Top 10 per product and user; `product_recommendations`."),
        job_task("time_series", doc_md="Daily figures with moving averages; `time_series_analysis`."),
        job_task("statistics", doc_md="Prices, correlations, categories; `statistical_analysis`."),
        job_task("journeys", doc_md="Funnel, drop-off and paths; `journey_metrics`."),
    ]
    promote = job_task(
        "promote",
        doc_md="Moves `latest` to this run, unless its churn model is clearly worse than the promoted one.",
        # A skipped model must not hold the others back; with nothing to promote, this is skipped as well.
        trigger_rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS,
        outlets=[MODELS],
    )
    approve = PromotionApproval(
        task_id="approve",
        gate="promote",
        subject=f"Promote the models of {AS_OF}, though churn is predicted clearly worse?",
        defaults=PromotionApproval.REJECT,
        # Before the next run ends, which would be the better one to promote.
        response_timeout=timedelta(hours=4),
        # It waits, and trains nothing.
        pool="default_pool",
        doc_md="Asks a person, where the gate has refused the run; skipped where it has not.",
    )
    promote_by_hand = SparkJobOperator(
        task_id="promote_by_hand",
        job="promote",
        arguments=[f"--as-of={AS_OF}", f"--by={ANSWERED_BY % 'approve'}"],
        doc_md="Moves `latest` to this run, because somebody has approved it.",
        outlets=[MODELS],
    )
    retention = SparkJobOperator(
        task_id="retention",
        job="retention",
        doc_md="Drops snapshots that are older than `SHOPSTREAM_SNAPSHOT_DAYS`, but for one a day.",
    )
    promote >> approve >> promote_by_hand
    promote >> retention
    extract >> features >> [segments, churn] >> promote
    extract >> reports >> promote
