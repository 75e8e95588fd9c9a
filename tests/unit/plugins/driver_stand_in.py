"""A small process that stands in for the streaming driver where only the handling of processes is tested.

It knows nothing of Spark, Kafka or MongoDB: it holds the lease as the driver does and writes heartbeats to a JSON file.
How it behaves is told by the file `behaviour` beside that file: words out of slow, fail, die, deaf, refuse, child,
barren (it runs but finishes no micro-batch).
"""

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

folder = Path(os.environ["STAND_IN_FOLDER"])
behaviour = (folder / "behaviour").read_text().split() if (folder / "behaviour").exists() else []
started = datetime.now(UTC).isoformat()
stopping = False


def beat(state: str, error: str | None = None) -> None:
    document = {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "state": state,
        "error": error,
        "config_hash": os.environ.get("SHOPSTREAM_CONFIG_HASH"),
        "started_at": started,
        "updated_at": datetime.now(UTC).isoformat(),
        "trigger_seconds": 2,
        "batch_duration_ms": 100 if state == "running" and "barren" not in behaviour else None,
        "queries": [{"name": "customer_events", "active": state == "running"}],
    }
    partial = folder / "heartbeat.partial"
    partial.write_text(json.dumps(document))
    partial.replace(folder / "heartbeat.json")


def on_term(*_: object) -> None:
    global stopping
    stopping = "deaf" not in behaviour


signal.signal(signal.SIGTERM, on_term)
assert sys.argv[1:] == ["-m", "spark_jobs.jobs.stream"], sys.argv
print("stand-in for the streaming driver, " + " ".join(behaviour), flush=True)
lease = Path(os.environ["SHOPSTREAM_DATA_DIR"], "stream", "driver.lock").open("w")  # noqa: SIM115
try:
    fcntl.flock(lease, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    sys.exit("error: another streaming driver is running here")
if "refuse" in behaviour:
    sys.exit("error: SHOPSTREAM_TRIGGER_SECONDS='x' is not a positive whole number mongodb://u:p@h")
beat("starting")
if "die" in behaviour:
    os.kill(os.getpid(), signal.SIGKILL)
if "fail" in behaviour:
    beat("failed", "the topic is gone")
    sys.exit(1)
if "child" in behaviour:
    child = subprocess.Popen(["sleep", "1000"])
    (folder / "child").write_text(str(child.pid))
if "slow" not in behaviour:
    beat("running")
while not stopping:
    signal.pause()
beat("stopped")
