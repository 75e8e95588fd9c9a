"""Configuration of the Airflow side: every environment variable a task reads is read here.

DAG files never call `Config`: a bad value must fail a task with a clear message, not make the DAG vanish from the UI.
`python -m shopstream.config` checks the environment, for use at start-up.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from shopstream.kafka_login import KafkaLogin
from shopstream.resources import Resources, ResourcesError, read_overrides

PROJECT = Path(__file__).resolve().parents[2]

RUNTIMES = ("local", "kubernetes")

PULL_POLICIES = ("Always", "IfNotPresent", "Never")

# Where Kubernetes tells a pod in which namespace it is.
NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")

LIFECYCLE_CRON = "*/5 * * * *"


class ConfigError(Exception):
    """A value of the environment is missing or malformed; the message names the variable and says what to do."""


@dataclass(frozen=True)
class StreamLimits:
    """Bounds within which the streaming application counts as healthy.

    Attributes:
        stall_triggers: N: a heartbeat or a due micro-batch older than N x trigger interval means stalled.
        first_batch_seconds: Time the first micro-batch after a start may take: it restores state and warms the JVM up.
        lag_events: Most records in the topic that the stream may not have read yet.
        lag_seconds: Greatest age of the oldest such record.
        start_seconds: Time from launch to the first heartbeat that says `running`.
        stop_seconds: Time to finish the running micro-batch after SIGTERM, before SIGKILL.
    """

    stall_triggers: int = 60
    first_batch_seconds: int = 300
    lag_events: int = 500_000
    lag_seconds: int = 600
    start_seconds: int = 180
    stop_seconds: int = 60


@dataclass(frozen=True)
class ClusterConfig:
    """Settings of the kubernetes runtime.

    Attributes:
        namespace: Where pods and the SparkApplication live.
        spark_image: Image of batch pods, driver and executors.
        pull_policy: When the image is pulled; see `PULL_POLICIES`.
        start_seconds: Longest time a batch pod may wait for a node, and then again for its container to start.
        executors: Number of executors of the stream.
        resources: What differs from the defaults of `shopstream.resources`, by job or kind.
    """

    namespace: str
    spark_image: str
    pull_policy: str
    start_seconds: int
    executors: int
    resources: Mapping[str, Mapping[str, str | int]]

    def resources_of(self, job: str) -> Resources:
        """Return what a pod of a job gets, or one of the stream (`stream_driver`, `stream_executor`)."""
        return Resources.of(job, self.resources)

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ) -> ClusterConfig:
        """Read and check the environment.

        Raises:
            ConfigError: A value is missing or malformed.
        """
        image = env.get("SHOPSTREAM_SPARK_IMAGE", "")
        if not image or re.search(r"\s", image):
            raise ConfigError(f"SHOPSTREAM_SPARK_IMAGE={image!r} names no image (example: shopstream-spark:1.0)")
        policy = env.get("SHOPSTREAM_IMAGE_PULL_POLICY") or "IfNotPresent"
        if policy not in PULL_POLICIES:
            raise ConfigError(f"SHOPSTREAM_IMAGE_PULL_POLICY={policy!r} is none of {', '.join(PULL_POLICIES)}")
        try:
            resources = read_overrides(env.get("SHOPSTREAM_POD_RESOURCES", ""))
        except ResourcesError as error:
            raise ConfigError(f"SHOPSTREAM_POD_RESOURCES: {error}") from None
        return cls(
            namespace=_namespace(env, "SHOPSTREAM_NAMESPACE"),
            spark_image=image,
            pull_policy=policy,
            start_seconds=_positive(env, "SHOPSTREAM_POD_START_SECONDS", 300),
            executors=_positive(env, "SHOPSTREAM_STREAM_EXECUTORS", 1),
            resources=resources,
        )


@dataclass(frozen=True)
class Config:
    """Settings of one Airflow task.

    Attributes:
        runtime: Where jobs run; see `RUNTIMES`.
        mongodb_uri: Connection string of the document store; carries the credentials.
        database: Name of the MongoDB database.
        kafka_bootstrap: Comma-separated `host:port` list of Kafka brokers.
        topic: Kafka topic of the click events.
        home: Root of everything the local runtime installs or writes; logs are below it.
        data_dir: Folder of everything jobs keep; the record of the running driver is below it.
        spark_python: Python interpreter of the Spark environment.
        stream: Health bounds of the streaming application.
        kafka_login: What the brokers ask for.
        cluster: Settings of the kubernetes runtime; None in another one.
    """

    runtime: str
    mongodb_uri: str
    database: str
    kafka_bootstrap: str
    topic: str
    home: Path
    data_dir: Path
    spark_python: Path
    stream: StreamLimits
    kafka_login: KafkaLogin
    cluster: ClusterConfig | None = None

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ) -> Config:
        """Read and check the environment.

        Raises:
            ConfigError: A value is missing or malformed.
        """
        runtime = runtime_name(env)
        if runtime not in RUNTIMES:
            raise ConfigError(
                f"SHOPSTREAM_RUNTIME={runtime!r} is no runtime of this version (use: {', '.join(RUNTIMES)})"
            )
        home = _folder(env, "SHOPSTREAM_HOME", PROJECT / ".shopstream")
        return cls(
            runtime=runtime,
            mongodb_uri=_mongodb_uri(env),
            database=env.get("SHOPSTREAM_DATABASE") or "shopstream",
            kafka_bootstrap=_brokers(env),
            topic=env.get("SHOPSTREAM_TOPIC") or "customer_events",
            home=home,
            data_dir=_folder(env, "SHOPSTREAM_DATA_DIR", home / "state"),
            spark_python=Path(env.get("SHOPSTREAM_SPARK_PYTHON") or home / "venvs" / "spark" / "bin" / "python"),
            stream=StreamLimits(
                stall_triggers=_positive(env, "SHOPSTREAM_STREAM_STALL_TRIGGERS", StreamLimits.stall_triggers),
                first_batch_seconds=_positive(
                    env, "SHOPSTREAM_STREAM_FIRST_BATCH_SECONDS", StreamLimits.first_batch_seconds
                ),
                lag_events=_positive(env, "SHOPSTREAM_STREAM_LAG_EVENTS", StreamLimits.lag_events),
                lag_seconds=_positive(env, "SHOPSTREAM_STREAM_LAG_SECONDS", StreamLimits.lag_seconds),
                start_seconds=_positive(env, "SHOPSTREAM_STREAM_START_SECONDS", StreamLimits.start_seconds),
                stop_seconds=_positive(env, "SHOPSTREAM_STREAM_STOP_SECONDS", StreamLimits.stop_seconds),
            ),
            cluster=ClusterConfig.from_env(env) if runtime == "kubernetes" else None,
            kafka_login=_kafka_login(env),
        )


def runtime_name(env: Mapping[str, str] = os.environ) -> str:
    """Return the runtime that is asked for, which need not be one of `RUNTIMES`: tasks check it, not DAG files."""
    return env.get("SHOPSTREAM_RUNTIME") or "local"


def default_events_file(env: Mapping[str, str] = os.environ) -> str:
    """Return the events file to use when a run names none.

    Raises:
        ConfigError: SHOPSTREAM_EVENTS is not set.
    """
    if path := env.get("SHOPSTREAM_EVENTS"):
        return path
    raise ConfigError("no events file: name one in the trigger form, or set SHOPSTREAM_EVENTS for a default")


def lifecycle_cron(env: Mapping[str, str] = os.environ) -> str:
    """Return when streaming_lifecycle looks after the application, as a cron expression (five fields, unchecked)."""
    return env.get("SHOPSTREAM_LIFECYCLE_CRON") or LIFECYCLE_CRON


def alert_webhook(env: Mapping[str, str] = os.environ) -> str | None:
    """Return where alerts are posted to; None for nowhere.

    Raises:
        ConfigError: It is no http:// or https:// address.
    """
    url = env.get("SHOPSTREAM_ALERT_WEBHOOK", "")
    if not url:
        return None
    try:
        parts = urlsplit(url)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        valid = False
    if not valid:
        raise ConfigError("SHOPSTREAM_ALERT_WEBHOOK is no http:// or https:// address")
    return url


def _namespace(env: Mapping[str, str], name: str) -> str:
    """Return the namespace that is asked for, else this pod's own, else `shopstream`."""
    own = NAMESPACE_FILE.read_text().strip() if NAMESPACE_FILE.is_file() else ""
    namespace = env.get(name) or own or "shopstream"
    if not re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", namespace):
        raise ConfigError(f"{name}={namespace!r} cannot be the name of a namespace")
    return namespace


def _mongodb_uri(env: Mapping[str, str]) -> str:
    uri = env.get("MONGODB_URI", "")
    try:
        valid = urlsplit(uri).scheme in ("mongodb", "mongodb+srv") and bool(urlsplit(uri).netloc)
    except ValueError:
        valid = False
    if not valid:
        raise ConfigError(
            "MONGODB_URI is missing or is no mongodb:// connection string (print one with `make mongodb-uri`)"
        )
    return uri


def _brokers(env: Mapping[str, str]) -> str:
    text = env.get("KAFKA_BOOTSTRAP_SERVERS") or "127.0.0.1:9092"
    for broker in text.split(","):
        host, _, port = broker.strip().rpartition(":")
        if not (host and port.isdecimal() and 0 < int(port) < 65536):
            raise ConfigError(f"KAFKA_BOOTSTRAP_SERVERS={text!r} is no comma-separated list of host:port")
    return text


def _kafka_login(env: Mapping[str, str]) -> KafkaLogin:
    login = KafkaLogin(
        env.get("SHOPSTREAM_KAFKA_USER", ""),
        env.get("SHOPSTREAM_KAFKA_PASSWORD", ""),
        env.get("SHOPSTREAM_KAFKA_CA", ""),
    )
    if problem := login.problem():
        raise ConfigError(problem)
    return login


def _folder(env: Mapping[str, str], name: str, default: Path) -> Path:
    path = Path(env.get(name) or default)
    if not path.is_absolute():
        raise ConfigError(f"{name}={str(path)!r} is not an absolute path")
    return path


def _positive(env: Mapping[str, str], name: str, default: int) -> int:
    text = env.get(name, "")
    if not text:
        return default
    if not text.isdecimal() or int(text) == 0:
        raise ConfigError(f"{name}={text!r} is not a positive whole number")
    return int(text)


def main() -> int:
    """Check the environment of this process; returns the exit status."""
    # Here, because every task and DAG file imports this module, and only the check needs it.
    from croniter import croniter

    try:
        Config.from_env()
        alert_webhook()
        cron = lifecycle_cron()
        if not croniter.is_valid(cron):
            raise ConfigError(f"SHOPSTREAM_LIFECYCLE_CRON={cron!r} is no cron expression (example: {LIFECYCLE_CRON})")
    except ConfigError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
