"""# streaming_lifecycle

## What
Keeps the streaming application alive. Every five minutes it finds the driver, reads its heartbeat and the topic's
offsets, and judges: process alive, heartbeat and last micro-batch younger than N triggers, lag within bounds, no query
dead, configuration and code up to date. It launches a driver that is absent and relaunches one that is dead, stalled or
outdated. The driver outlives the task. Every check is a document (`kind: "check"`) in `stream_health`.

By hand: **ensure** does the same at once, **restart** lets the driver finish its micro-batch and launches a new one,
**stop** ends it: scheduled runs then leave it stopped until somebody triggers one of the others. **rebuild** sets the
checkpoint aside and reads the whole topic again: nothing is doubled, every document is replaced by its like.

## Upstream
Kafka, MongoDB and the topic `customer_events`: started by `make up`, or installed by `make deploy`.

## Owner
data-platform

## When it fails
The log says which part of health is missing, with figures, what was done, and the last lines of the driver's own log
(`logs/stream.log` in the platform's home; on a cluster `kubectl logs shopstream-stream-driver`). "MongoDB at ..." or
"Kafka at ...": look at `make status` (on a cluster `make deploy-check`); no driver is launched meanwhile, and the next
run heals the rest. "crash loop": three launches in a row did not last, so the next ones are spaced out, or no driver
has finished a micro-batch for a quarter of an hour; the driver's last lines name the reason, such as a malformed
variable. "the checkpoint holds state that this version cannot read": trigger **rebuild**. "data loss": Kafka deleted
records before they were read; the message names their offsets. Trigger ensure with "Accept data loss" to go on without
them; they stay on record in `stream_health`. Lag alone is a warning, not a failure: the stream catches up by itself.

## When a failure may be ignored
A single failure followed by a success. Events wait in Kafka meanwhile; nothing is lost or doubled.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, Param

from shopstream.config import lifecycle_cron
from shopstream.defaults import DEFAULT_ARGS, START_DATE
from shopstream.operators.streaming import StreamingLifecycleOperator

with DAG(
    dag_id="streaming_lifecycle",
    description="Launches, checks and heals the streaming application",
    doc_md=__doc__,
    schedule=lifecycle_cron(),
    start_date=START_DATE,
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULT_ARGS,
    tags=["shopstream", "streaming"],
    params={
        "action": Param(
            "ensure",
            type="string",
            enum=["ensure", "restart", "stop", "rebuild"],
            title="Action",
            description="ensure: launch or heal it. restart: end and launch it. stop: end it and leave it stopped. "
            "rebuild: launch it without its checkpoint, to read the whole topic again.",
        ),
        "accept_data_loss": Param(
            False,
            type="boolean",
            title="Accept data loss",
            description="Go on without records that Kafka deleted before they were read. They stay on record.",
        ),
    },
):
    StreamingLifecycleOperator(
        task_id="streaming_application",
        action="{{ params.action }}",
        accept_data_loss="{{ params.accept_data_loss }}",
        # One retry: the next scheduled run is a retry, too.
        retries=1,
        # Finish a micro-batch, start a driver, and some air.
        execution_timeout=timedelta(minutes=10),
    )
