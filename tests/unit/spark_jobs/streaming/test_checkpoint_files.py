"""Checkpoints are written without a process or a second file for each file, and what an attempt left is replaced."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from spark_jobs.config import REPOSITORY, Config
from spark_jobs.streaming import checkpoint_files

URI = "mongodb://127.0.0.1:9/"

# Runs a query with state for one micro-batch, and a second time after a kill before the commit, that cut a file off.
RUNS = """
import sys
from pathlib import Path
from spark_jobs.config import Config
from spark_jobs.session import spark_session
from spark_jobs.streaming import checkpoint_files

folder, config = Path(sys.argv[1]), Config.from_env()
provider = "org.apache.spark.sql.execution.streaming.state.RocksDBStateStoreProvider"
settings = {
    "spark.sql.shuffle.partitions": "1",
    "spark.sql.streaming.stateStore.providerClass": provider,
    "spark.sql.streaming.stateStore.rocksdb.changelogCheckpointing.enabled": "true",
}
spark = spark_session("test", config, settings | checkpoint_files.settings(config))
checkpoint_files.configure(spark, config)

def run_once():
    rows = spark.readStream.format("rate-micro-batch").option("rowsPerBatch", 10).load()
    writer = rows.groupBy("value").count().writeStream.format("noop").outputMode("update")
    writer.option("checkpointLocation", str(folder)).trigger(once=True).start().awaitTermination()

run_once()
changes = folder / "state/0/0/1.changelog"
print(whole := changes.stat().st_size, "bytes of changes")
(folder / "commits/0").unlink()
changes.write_bytes(b"cut off")
run_once()
assert changes.stat().st_size == whole
run_once()
"""


def test_files_are_replaced_without_processes_and_checksums(tmp_path: Path) -> None:
    asked, tools, folder = tmp_path / "asked", tmp_path / "tools", tmp_path / "checkpoint"
    tools.mkdir()
    (tools / "readlink").write_text(f'#!/bin/sh\necho "$@" >>{asked}\n')
    (tools / "readlink").chmod(0o755)
    environ = {**os.environ, "MONGODB_URI": URI, "PYTHONPATH": str(REPOSITORY), "SPARK_LOCAL_IP": "127.0.0.1"}
    environ["PATH"] = f"{tools}:{environ['PATH']}"
    ran = subprocess.run([sys.executable, "-c", RUNS, str(folder)], env=environ, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr[-5000:]
    written = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert {"offsets/1", "commits/0", "commits/1", "state/0/0/1.changelog", "state/0/0/2.changelog"} <= written
    assert not [name for name in written if name.endswith((".crc", ".tmp"))]
    assert not asked.exists() or "checkpoint" not in asked.read_text()


def test_a_cluster_keeps_the_usual_way() -> None:
    there = Config.from_env({"MONGODB_URI": URI, "SHOPSTREAM_SPARK_MASTER": "k8s://https://kubernetes"})
    assert checkpoint_files.settings(there) == {}
