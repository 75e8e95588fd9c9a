"""Settings of the embedded stack: the environment variables, their defaults and their validation, in one place.

Standard library only: the installer reads it before any environment exists.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from embedded.errors import StackError

REPOSITORY = Path(__file__).resolve().parent.parent

# Class paths, PYTHONPATH, supervisor's configuration, SQLite URLs and Kafka's log.dirs all give these a meaning.
UNSAFE_IN_PATHS = re.compile(r"[:,;%?#\"'`\\$\n]")


@dataclass(frozen=True)
class Settings:
    """Everything the launcher may be told from outside. Ports are on 127.0.0.1, sizes in MB (10^6 bytes)."""

    home: Path
    data_dir: Path
    airflow_port: int
    airflow_task_port: int
    kafka_port: int
    kafka_controller_port: int
    mongodb_port: int
    database: str
    topic: str
    spark_python: Path
    spark_jars: Path
    events: Path | None
    external_kafka: str | None
    external_mongodb: str | None
    mongodb_binary: Path | None
    mongodb_sync_on_commit: bool
    minimum_memory_mb: int
    minimum_disk_mb: int

    @property
    def venvs(self) -> Path:
        """Python environments."""
        return self.home / "venvs"

    @property
    def jars(self) -> Path:
        """Java archives: kafka/ (the broker), spark/ (connectors)."""
        return self.home / "jars"

    @property
    def state(self) -> Path:
        """What must survive a restart."""
        return self.home / "state"

    @property
    def run(self) -> Path:
        """Generated configuration and pid files."""
        return self.home / "run"

    @property
    def supervisor_pid(self) -> Path:
        """File in which supervisord keeps its process id; after a crash it is still there."""
        return self.run / "supervisord.pid"

    @property
    def logs(self) -> Path:
        """Logs of every component, of tasks and of the installer."""
        return self.home / "logs"

    @property
    def kafka_servers(self) -> str:
        """Bootstrap servers in Kafka's `host:port[,host:port]` form."""
        return self.external_kafka or f"127.0.0.1:{self.kafka_port}"

    @property
    def airflow_url(self) -> str:
        """Where the user clicks."""
        return f"http://127.0.0.1:{self.airflow_port}"

    @property
    def airflow_task_url(self) -> str:
        """Where tasks report to."""
        return f"http://127.0.0.1:{self.airflow_task_port}"

    def as_variables(self) -> dict[str, str]:
        """The environment variables that lead to these settings; "" for unset. A running stack is bound to them."""
        return {
            "KAFKA_BOOTSTRAP_SERVERS": self.external_kafka or "",
            "MONGODB_URI": self.external_mongodb or "",
            "SHOPSTREAM_AIRFLOW_PORT": str(self.airflow_port),
            "SHOPSTREAM_AIRFLOW_TASK_PORT": str(self.airflow_task_port),
            "SHOPSTREAM_DATABASE": self.database,
            "SHOPSTREAM_DATA_DIR": str(self.data_dir),
            "SHOPSTREAM_EVENTS": str(self.events or ""),
            "SHOPSTREAM_KAFKA_CONTROLLER_PORT": str(self.kafka_controller_port),
            "SHOPSTREAM_KAFKA_PORT": str(self.kafka_port),
            "SHOPSTREAM_MONGODB_BINARY": str(self.mongodb_binary or ""),
            "SHOPSTREAM_MONGODB_PORT": str(self.mongodb_port),
            "SHOPSTREAM_MONGODB_SYNC_ON_COMMIT": "1" if self.mongodb_sync_on_commit else "",
            "SHOPSTREAM_SPARK_JARS": str(self.spark_jars),
            "SHOPSTREAM_SPARK_PYTHON": str(self.spark_python),
            "SHOPSTREAM_TOPIC": self.topic,
        }

    @property
    def marker(self) -> str:
        """Value of SHOPSTREAM_STACK in every process of this stack; different for every home."""
        return hashlib.sha256(os.fsencode(self.home)).hexdigest()[:16]


def read_settings(environ: Mapping[str, str], embedded_password: str | None = None) -> Settings:
    """Build `Settings` from environment variables (empty means unset).

    Args:
        environ: usually os.environ.
        embedded_password: password of the embedded MongoDB server. A MONGODB_URI with it was printed by ourselves (a
            shell that has evaluated `python -m embedded env`) and does not mean a server of the user's own.

    Raises:
        StackError: one line naming the variable, its value and what is allowed.
    """
    if environ.get("SHOPSTREAM_RUNTIME", "").strip() not in ("", "local"):
        raise StackError("SHOPSTREAM_RUNTIME is not 'local', but the embedded stack is the local runtime (unset it)")
    home = home_of(environ)
    airflow = _port(environ, "SHOPSTREAM_AIRFLOW_PORT", 8080)
    tasks = _port(environ, "SHOPSTREAM_AIRFLOW_TASK_PORT", 8081)
    kafka = _port(environ, "SHOPSTREAM_KAFKA_PORT", 9092)
    controller = _port(environ, "SHOPSTREAM_KAFKA_CONTROLLER_PORT", 9093)
    mongodb = _port(environ, "SHOPSTREAM_MONGODB_PORT", 27017)
    if len({airflow, tasks, kafka, controller, mongodb}) < 5:
        raise StackError(
            f"two components share a port: airflow {airflow}, airflow's tasks {tasks}, kafka {kafka}, "
            f"kafka controller {controller}, mongodb {mongodb} (set the SHOPSTREAM_*_PORT variables to different ports)"
        )
    binary = environ.get("SHOPSTREAM_MONGODB_BINARY")
    if binary and not os.access(binary, os.X_OK):
        raise StackError(f"SHOPSTREAM_MONGODB_BINARY: {binary} is not an executable file (name one, or unset it)")
    events = environ.get("SHOPSTREAM_EVENTS")
    servers = _bootstrap_servers(environ.get("KAFKA_BOOTSTRAP_SERVERS", ""))
    uri = _mongodb_uri(environ.get("MONGODB_URI", ""))
    if embedded_password and f":{embedded_password}@127.0.0.1:" in uri:
        uri = ""
    return Settings(
        home=home,
        data_dir=_path(environ, "SHOPSTREAM_DATA_DIR", home / "state"),
        airflow_port=airflow,
        airflow_task_port=tasks,
        kafka_port=kafka,
        kafka_controller_port=controller,
        mongodb_port=mongodb,
        database=_name(environ, "SHOPSTREAM_DATABASE", "shopstream", r"[A-Za-z0-9_-]{1,63}"),
        topic=_name(environ, "SHOPSTREAM_TOPIC", "customer_events", r"[A-Za-z0-9._-]{1,249}"),
        spark_python=_path(environ, "SHOPSTREAM_SPARK_PYTHON", home / "venvs/spark/bin/python"),
        spark_jars=_path(environ, "SHOPSTREAM_SPARK_JARS", home / "jars/spark"),
        events=Path(events).absolute() if events else None,
        external_kafka=servers if servers not in ("", f"127.0.0.1:{kafka}", f"localhost:{kafka}") else None,
        external_mongodb=uri or None,
        mongodb_binary=Path(binary).absolute() if binary else None,
        mongodb_sync_on_commit=_flag(environ, "SHOPSTREAM_MONGODB_SYNC_ON_COMMIT"),
        minimum_memory_mb=_number(environ, "SHOPSTREAM_MIN_MEMORY_MB", 5000),
        minimum_disk_mb=_number(environ, "SHOPSTREAM_MIN_DISK_MB", 4000),
    )


def home_of(environ: Mapping[str, str]) -> Path:
    """SHOPSTREAM_HOME as an absolute path without symlinks, default <repository>/.shopstream."""
    return _path(environ, "SHOPSTREAM_HOME", REPOSITORY / ".shopstream").resolve()


def _path(environ: Mapping[str, str], variable: str, default: Path) -> Path:
    value = Path(environ.get(variable) or default).absolute()
    if unsafe := UNSAFE_IN_PATHS.search(str(value)):
        raise StackError(
            f"{variable}: {value} contains {unsafe.group()!r} (use a path without : , ; % ? # $ \\ quotes)"
        )
    return value


def _port(environ: Mapping[str, str], variable: str, default: int) -> int:
    value = _number(environ, variable, default)
    if value > 65535:
        raise StackError(f"{variable}: {value} is not a port (use a whole number from 1 to 65535)")
    return value


def _number(environ: Mapping[str, str], variable: str, default: int) -> int:
    text = environ.get(variable, "").strip() or str(default)
    if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) < 1:
        raise StackError(f"{variable}: {text!r} is not a whole number above 0 (correct or unset it)")
    return int(text)


def _flag(environ: Mapping[str, str], variable: str) -> bool:
    text = environ.get(variable, "").strip().lower()
    if text not in ("", "0", "1", "false", "true"):
        raise StackError(f"{variable}: {text!r} is neither 0 nor 1 (correct or unset it)")
    return text in ("1", "true")


def _name(environ: Mapping[str, str], variable: str, default: str, pattern: str) -> str:
    text = environ.get(variable, "").strip() or default
    if not re.fullmatch(pattern, text):
        raise StackError(f"{variable}: {text!r} is not a valid name (allowed: {pattern})")
    return text


def _bootstrap_servers(text: str) -> str:
    servers = ",".join(part.strip() for part in text.split(",") if part.strip())
    for server in servers.split(",") if servers else ():
        host, _, port = server.rpartition(":")
        if not host or not port.isdigit() or not 1 <= int(port) <= 65535:
            raise StackError(f"KAFKA_BOOTSTRAP_SERVERS: {server!r} is not host:port (correct or unset it)")
    return servers


def _mongodb_uri(text: str) -> str:
    uri = text.strip()
    if not uri:
        return ""
    try:
        parts = urlsplit(uri)
        usable = parts.scheme in ("mongodb", "mongodb+srv") and bool(parts.netloc.rpartition("@")[2])
    except ValueError:
        usable = False
    if not usable:
        # The value itself may hold a password, so it is not repeated.
        raise StackError(
            "MONGODB_URI is not of the form mongodb://user:password@host:port/database (correct or unset it)"
        )
    return uri
