"""# replay_events

## What
The event simulator: reads a file of shop events and sends them to the Kafka topic, in the file's order, either flat out
or at a steady rate. The log shows progress. Every event gets an id from the file's name and its row, so that replaying
a file a second time changes nothing in the collections.

## Upstream
An events file (the trigger form's, else `SHOPSTREAM_EVENTS`), CSV(.gz) or Parquet with the columns of the public
"eCommerce behavior data". Run `seed_dimensions` on the same file first, or events are enriched with `unknown`. It
publishes the asset `shopstream_events`.

## Owner
data-platform

## When it fails
A missing file or column is named in the task's last log line and is not retried: correct it and trigger again. If Kafka
did not answer, the retry resumes where the broken attempt ended. If all retries are used up, clear the task once `make
status` shows the broker: it resumes, too. One run at a time: a second one waits for the first.

## When a failure may be ignored
When the rest of the file is not needed: what was sent has been processed, and stays.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, Param

from shopstream.assets import EVENTS
from shopstream.defaults import DEFAULT_ARGS, START_DATE
from shopstream.operators.spark_job import SparkJobOperator
from shopstream.templates import EVENTS_FILE, MACROS, RUN_ID

with DAG(
    dag_id="replay_events",
    description="Replays a file of shop events into Kafka",
    doc_md=__doc__,
    schedule=None,
    start_date=START_DATE,
    max_active_runs=1,
    default_args=DEFAULT_ARGS,
    user_defined_macros=MACROS,
    tags=["shopstream", "ingestion"],
    params={
        "file": Param(
            None,
            type=["null", "string"],
            title="Events file",
            description="Absolute path of a CSV, CSV.gz or Parquet file. Empty: the file in SHOPSTREAM_EVENTS.",
        ),
        "rate": Param(
            0,
            type="number",
            minimum=0,
            title="Rate (events per second)",
            description="0 sends as fast as the broker takes them.",
        ),
        "limit": Param(
            0,
            type="integer",
            minimum=0,
            title="Limit (events)",
            description="Send only so many events from the beginning of the file. 0 sends all.",
        ),
        "shift_to_now": Param(
            False,
            type="boolean",
            title="Shift to now",
            description="Move all event times so that the newest event happens now. Off: leave them as they are.",
        ),
    },
):
    SparkJobOperator(
        task_id="replay_events",
        job="replay_events",
        arguments=[
            f"--file={EVENTS_FILE}",
            "--rate={{ params.rate }}",
            "--limit={{ params.limit }}",
            "{{ '--shift-to-now' if params.shift_to_now }}",
            # By this name a retry finds how far the broken attempt got.
            f"--run-id={RUN_ID}",
        ],
        outlets=[EVENTS],
        # 42 million events at a modest rate take most of a day; a stuck broker is noticed by the job itself.
        execution_timeout=timedelta(hours=24),
    )
