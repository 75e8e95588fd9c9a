"""Where jobs run. With `operators.spark_job`, the only place that looks at SHOPSTREAM_RUNTIME: DAGs never know."""

from __future__ import annotations

from shopstream.config import Config
from shopstream.runtimes.base import BatchRuntime, StreamRuntime
from shopstream.runtimes.kubernetes_stream import KubernetesStreamRuntime
from shopstream.runtimes.local_batch import LocalBatchRuntime
from shopstream.runtimes.local_stream import LocalStreamRuntime


def batch_runtime(config: Config) -> BatchRuntime:
    """Return what runs a batch job beside its task; on Kubernetes the operator itself does (`operators.pod_job`)."""
    return LocalBatchRuntime(config)


def stream_runtime(config: Config) -> StreamRuntime:
    """Return what launches, finds and ends the streaming application; `Config` accepts no runtime missing here."""
    runtimes: dict[str, type[LocalStreamRuntime | KubernetesStreamRuntime]] = {
        "local": LocalStreamRuntime,
        "kubernetes": KubernetesStreamRuntime,
    }
    return runtimes[config.runtime](config)
