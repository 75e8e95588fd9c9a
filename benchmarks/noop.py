"""The upper bound: the stream's parsing and joins into Spark's noop sink, which takes every row and keeps none."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from benchmarks.baselines import Inputs, run_until_told
from spark_jobs.config import Config
from spark_jobs.entry import run
from spark_jobs.streaming.enrich import enriched, with_product
from spark_jobs.streaming.outputs import is_valid
from spark_jobs.streaming.parse import parse

QUERY = "noop"


def main(_args: argparse.Namespace, config: Config) -> dict[str, Any]:
    """Run the query until SIGTERM."""
    inputs = Inputs.open("benchmark-noop", config)
    valid = parse(inputs.records(config.max_offsets_per_trigger)).filter(is_valid())
    query = (
        enriched(with_product(valid, inputs.products), inputs.users)
        .writeStream.queryName(QUERY)
        .format("noop")
        .option("checkpointLocation", inputs.checkpoint(QUERY))
        .start()
    )
    run_until_told([query])
    inputs.spark.stop()
    return {}


if __name__ == "__main__":
    sys.exit(run(main, argparse.ArgumentParser(description=__doc__)))
