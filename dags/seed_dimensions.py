"""# seed_dimensions

## What
Builds the two dimensions of the platform, `products` and `users`, and upserts them into MongoDB. Both are derived from
the events file; names, countries and age groups, which the public data set lacks, are synthesised from the id (always
the same for the same id) and marked `synthetic`. Rows of your own CSVs replace the synthesised attributes. The running
stream picks a changed dimension up by itself; the task ends when it has, so that events replayed next find it.

## Upstream
An events file (the trigger form's, else `SHOPSTREAM_EVENTS`), CSV(.gz) or Parquet; optionally CSVs of products and
users. Trigger it by hand, once per events file; `make up` does when `SHOPSTREAM_EVENTS` names a new one. It publishes
the asset `shopstream_dimensions`, on which `data_quality` runs.

## Owner
data-platform

## When it fails
The task's last log line names the file and the column that is wrong; such failures are not retried. Correct the file,
or trigger again with another one. If MongoDB did not answer, wait for the retry, or look at `make status` (on a cluster
`make deploy-check`). Running it again is harmless: documents are replaced by their id.

## When a failure may be ignored
When the collections are filled already and no new events file was meant to be read: the stream goes on with what it
has. Of products and users that are not known, events have no names, countries and the like.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, Param

from shopstream.assets import DIMENSIONS
from shopstream.defaults import DEFAULT_ARGS, START_DATE
from shopstream.operators.spark_job import SparkJobOperator
from shopstream.templates import EVENTS_FILE, MACROS

with DAG(
    dag_id="seed_dimensions",
    description="Builds the product catalogue and the user dimension from an events file",
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
        "products_csv": Param(
            None,
            type=["null", "string"],
            title="Products CSV",
            description="Optional: your own product catalogue, by `product_id`. Its columns win over derived ones.",
        ),
        "users_csv": Param(
            None,
            type=["null", "string"],
            title="Users CSV",
            description="Optional: your own user dimension, by `user_id`. Its columns win over derived ones.",
        ),
    },
):
    SparkJobOperator(
        task_id="seed_dimensions",
        job="seed_dimensions",
        arguments=[
            f"--events={EVENTS_FILE}",
            "{{ '--products-csv=' ~ params.products_csv if params.products_csv }}",
            "{{ '--users-csv=' ~ params.users_csv if params.users_csv }}",
        ],
        outlets=[DIMENSIONS],
        execution_timeout=timedelta(hours=2),
    )
