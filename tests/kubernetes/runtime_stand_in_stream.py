"""Stands in for the streaming application where only the handling of its pods is tested.

What it does is told by the variable STAND_IN of the ConfigMap: `run`, or `fail`.
"""

import os
import signal
import sys
import time
from pathlib import Path

folder = Path(os.environ["SHOPSTREAM_DATA_DIR"])
print(f"stand-in for the stream as {os.getuid()}, launched with {os.environ['SHOPSTREAM_CONFIG_HASH']}", flush=True)

if os.environ.get("STAND_IN") == "fail":
    sys.exit(print("error: no topic of that name mongodb://user:word@host", file=sys.stderr) or 2)


def finish(*_: object) -> None:
    """Take a moment, as a micro-batch does."""
    time.sleep(2)
    with (folder / "finished").open("a") as file:
        file.write(os.environ["SHOPSTREAM_CONFIG_HASH"] + "\n")
    sys.exit(0)


signal.signal(signal.SIGTERM, finish)
while True:
    signal.pause()
