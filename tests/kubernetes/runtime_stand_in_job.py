"""Stands in for a job where only the handling of pods is tested: `python -m spark_jobs.jobs.features --do=WHAT`."""

import argparse
import json
import os
import signal
import sys
import time
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("--do", required=True)
parser.add_argument("--result", type=Path, required=True)
options = parser.parse_args()

print("2026-01-31 12:00:00,000 WARNING job: careful with mongodb://user:word@host/db", flush=True)
print(f"plain line of {os.getuid()}:{os.getgid()}, uri {os.environ['MONGODB_URI'][:7]}", flush=True)

if options.do == "sleep":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    time.sleep(300)
if options.do == "bad_input":
    sys.exit(print("error: no column price in 2019-Oct.csv", file=sys.stderr) or 2)
if options.do == "skip":
    sys.exit(print("skipped: 3 of 14 days", file=sys.stderr) or 99)
if options.do == "crash":
    raise ValueError("the snapshot is empty")
if options.do == "eat":
    meal = [bytearray(64 * 1024**2) for _ in range(100)]
if options.do == "once":
    # The first attempt waits to be disturbed; the second one finds that it is the second.
    mark = Path(os.environ["SHOPSTREAM_DATA_DIR"], "once")
    if not mark.exists():
        mark.touch()
        time.sleep(300)

for path in ("/etc/x", "/opt/x"):
    try:
        Path(path).touch()
    except OSError as error:
        print(f"{path}: {error.strerror}")
options.result.write_text(json.dumps({"did": options.do, "rows": 3}))
print("26/01/31 12:00:00 ERROR Spark: the last line", flush=True)
