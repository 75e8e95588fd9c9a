"""Where jobs run. The only place that looks at SHOPSTREAM_RUNTIME: operators ask here, DAGs never know."""

from __future__ import annotations

from shopstream.config import Config
from shopstream.runtimes.base import BatchRuntime, StreamRuntime
from shopstream.runtimes.local_batch import LocalBatchRuntime
from shopstream.runtimes.local_stream import LocalStreamRuntime


def batch_runtime(config: Config) -> BatchRuntime:
    """Return what runs a batch job; `Config` accepts no runtime that is missing here."""
    return {"local": LocalBatchRuntime}[config.runtime](config)


def stream_runtime(config: Config) -> StreamRuntime:
    """Return what launches, finds and ends the streaming application."""
    return {"local": LocalStreamRuntime}[config.runtime](config)
