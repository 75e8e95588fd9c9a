"""# replay_events

## What
The event simulator: reads a file of shop events and sends them to the Kafka topic, in the file's order, either flat out
or at a steady rate. The log shows progress. Every event gets an id from the file's name and its row, so that replaying
a file a second time changes nothing in the collections.

With the source *dead_letters* it sends dead letters again instead, oldest first: those that were not re-submitted yet,
of one reason or all. The field `corrected` of a dead letter, where somebody put a text there, is sent in place of the
original. Uncorrected ones whose bytes were no UTF-8 are left out; the log counts them. An event without id gets that of
its dead letter, so that it counts once however often it is sent. What is refused again comes back as a new dead letter.
The log begins with a table of all dead letters by reason.

## Upstream
An events file (the trigger form's, else `SHOPSTREAM_EVENTS`), CSV(.gz) or Parquet with the columns of the public
"eCommerce behavior data". Run `seed_dimensions` on the same file first, or the events lack what it knows of products
and users (until a **rebuild** of the stream). Dead letters come from `dead_letter_events`. It publishes the asset
`shopstream_events`.

## Owner
data-platform

## When it fails
A missing file or column, or an unknown reason, is named in the task's last log line and is not retried: correct it and
trigger again. If Kafka did not answer, the retry resumes where the broken attempt ended. If all retries are used up,
clear the task once the broker is back (`make status`; on a cluster `make deploy-check`): it resumes, too. Without a
dead letter to re-submit the task is *skipped*. One run at a time: a second one waits for the first.

## When a failure may be ignored
When the rest of the file is not needed: what was sent has been processed, and stays.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, Param

from shopstream.assets import EVENTS
from shopstream.defaults import DEFAULT_ARGS, START_DATE
from shopstream.operators.spark_job import SparkJobOperator
from shopstream.templates import MACROS, RUN_ID

with DAG(
    dag_id="replay_events",
    description="Replays a file of shop events, or dead letters, into Kafka",
    doc_md=__doc__,
    schedule=None,
    start_date=START_DATE,
    max_active_runs=1,
    default_args=DEFAULT_ARGS,
    user_defined_macros=MACROS,
    tags=["shopstream", "ingestion"],
    params={
        "source": Param(
            "file",
            type="string",
            enum=["file", "dead_letters"],
            title="Source",
            description="file: rows of an events file. dead_letters: refused records, as corrected or as they were.",
        ),
        "file": Param(
            None,
            type=["null", "string"],
            title="Events file",
            description="Absolute path of a CSV, CSV.gz or Parquet file. Empty: the file in SHOPSTREAM_EVENTS.",
        ),
        "reason": Param(
            None,
            type=["null", "string"],
            title="Reason (of dead letters)",
            description="Only dead letters with this reason, such as bad_price. Empty: all. Not for files.",
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
            description="Send only so many events: the beginning of the file, the oldest dead letters. 0 sends all.",
        ),
        "shift_to_now": Param(
            False,
            type="boolean",
            title="Shift to now",
            description="Move all event times so that the newest event happens now. Not for dead letters.",
        ),
    },
):
    SparkJobOperator(
        task_id="replay_events",
        job="replay_events",
        arguments=[
            "{{ '--dead-letters' if params.source == 'dead_letters' else '--file=' ~ events_file(params.file) }}",
            "{{ '--reason=' ~ params.reason if params.reason }}",
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
