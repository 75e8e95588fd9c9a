"""Configuration of the job side: every environment variable a job reads is read here.

`python -m spark_jobs.config` checks the environment, for use at start-up.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from spark_jobs.errors import JobError
from spark_jobs.kafka_login import KafkaLogin

REPOSITORY = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Config:
    """Settings of one job process.

    Attributes:
        mongodb_uri: Connection string of the document store; carries the credentials.
        database: Name of the MongoDB database.
        kafka_bootstrap: Comma-separated `host:port` list of Kafka brokers.
        topic: Kafka topic of the click events.
        data_dir: Folder of everything jobs keep: checkpoints, models, work files, reports.
        spark_master: Spark master URL; `local[2]` unless a cluster manager passes its own.
        spark_driver_memory: Heap of the driver, as Spark writes it (`1g`).
        spark_jars: Folder of the connector jars, or None where they are part of the Spark installation.
        trigger_seconds: Interval between two micro-batches of the stream.
        max_offsets_per_trigger: Largest number of Kafka records in one micro-batch.
        state_partitions: Shuffle and state-store partitions of the stream; fixed for the life of a checkpoint.
        dimension_refresh_seconds: How often the running stream looks for a changed dimension.
        stream_writers: Most requests to MongoDB that the stream has under way while it writes a micro-batch.
        lease_seconds: Term of the lease that only one streaming driver has; a dead one's keeps the next one waiting.
        models_uri: Folder or object store of the fitted models; empty for the folder `models` of the data folder.
        snapshot_days: How long every moment's trained documents are kept; of older days, one moment each.
        kafka_login: What the brokers ask for.
    """

    mongodb_uri: str
    database: str
    kafka_bootstrap: str
    topic: str
    data_dir: Path
    spark_master: str
    spark_driver_memory: str
    spark_jars: Path | None
    trigger_seconds: int
    max_offsets_per_trigger: int
    state_partitions: int
    dimension_refresh_seconds: int
    stream_writers: int
    lease_seconds: int
    models_uri: str
    snapshot_days: int
    kafka_login: KafkaLogin

    @property
    def runs_locally(self) -> bool:
        """Whether Spark's executors are threads of the driver, and no processes of a cluster."""
        return self.spark_master.startswith("local")

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ) -> Config:
        """Read and check the environment.

        Raises:
            JobError: A value is missing or malformed; the message names the variable.
        """
        uri = env.get("MONGODB_URI", "")
        if urlsplit(uri).scheme not in ("mongodb", "mongodb+srv"):
            raise JobError(
                "MONGODB_URI is missing or is no mongodb:// connection string (print one with `make mongodb-uri`)"
            )
        home = Path(env.get("SHOPSTREAM_HOME") or REPOSITORY / ".shopstream")
        jars = Path(env.get("SHOPSTREAM_SPARK_JARS") or home / "jars" / "spark")
        return cls(
            mongodb_uri=uri,
            database=env.get("SHOPSTREAM_DATABASE") or "shopstream",
            kafka_bootstrap=env.get("KAFKA_BOOTSTRAP_SERVERS") or "127.0.0.1:9092",
            topic=env.get("SHOPSTREAM_TOPIC") or "customer_events",
            data_dir=Path(env.get("SHOPSTREAM_DATA_DIR") or home / "state"),
            spark_master=env.get("SHOPSTREAM_SPARK_MASTER") or "local[2]",
            spark_driver_memory=_memory(env, "SHOPSTREAM_SPARK_DRIVER_MEMORY", "1g"),
            spark_jars=jars if jars.is_dir() else None,
            trigger_seconds=_positive(env, "SHOPSTREAM_TRIGGER_SECONDS", 2),
            max_offsets_per_trigger=_positive(env, "SHOPSTREAM_MAX_OFFSETS_PER_TRIGGER", 50_000),
            state_partitions=_positive(env, "SHOPSTREAM_STATE_PARTITIONS", 2),
            dimension_refresh_seconds=_positive(env, "SHOPSTREAM_DIMENSION_REFRESH_SECONDS", 5),
            stream_writers=_positive(env, "SHOPSTREAM_STREAM_WRITERS", 2),
            lease_seconds=_positive(env, "SHOPSTREAM_STREAM_LEASE_SECONDS", 10),
            models_uri=env.get("SHOPSTREAM_MODELS_URI", ""),
            snapshot_days=_positive(env, "SHOPSTREAM_SNAPSHOT_DAYS", 30),
            kafka_login=_kafka_login(env),
        )


def _kafka_login(env: Mapping[str, str]) -> KafkaLogin:
    login = KafkaLogin(
        env.get("SHOPSTREAM_KAFKA_USER", ""),
        env.get("SHOPSTREAM_KAFKA_PASSWORD", ""),
        env.get("SHOPSTREAM_KAFKA_CA", ""),
    )
    if problem := login.problem():
        raise JobError(problem)
    return login


def _memory(env: Mapping[str, str], name: str, default: str) -> str:
    text = env.get(name) or default
    if not re.fullmatch(r"[1-9]\d*[kmgt]b?", text, re.IGNORECASE):
        raise JobError(f"{name}={text!r} is no size of memory as Spark writes it (example: {default})")
    return text


def _positive(env: Mapping[str, str], name: str, default: int) -> int:
    text = env.get(name, "")
    if not text:
        return default
    if not text.isdecimal() or int(text) == 0:
        raise JobError(f"{name}={text!r} is not a positive whole number")
    return int(text)


def main() -> int:
    """Check the environment of this process; returns the exit status."""
    try:
        Config.from_env()
    except JobError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
