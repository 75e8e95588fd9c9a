"""The environment variables of every process of the stack: the contract of the jobs, and Airflow's configuration."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from embedded.config import REPOSITORY, Settings
from embedded.credentials import Credentials

MARKER = "SHOPSTREAM_STACK"

# How long one process of Airflow waits for another's transaction before it gives up with "database is locked". Five
# seconds, SQLite's default in Python, are too few for a backfill that is created while tasks run on a busy machine.
# (Where waiting is not enough: plugins/airflow_local_settings.py.)
_SQLITE_WAIT_SECONDS = 60

# From the caller's shell only what programs need to work at all, so that leftovers of other Airflow, Spark or Python
# installations in it change nothing. Names ending in _ are prefixes.
INHERITED = (
    "HOME", "LANG", "LOGNAME", "PATH", "SHELL", "TERM", "TMPDIR", "TZ", "USER", "LC_",
    "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_DIR", "SSL_CERT_FILE",
    "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy",
    "AIRFLOW_CONN_", "AIRFLOW_VAR_", "SHOPSTREAM_",
    # Credentials of the object store that SHOPSTREAM_MODELS_URI may name.
    "AWS_", "AZURE_", "GOOGLE_",
)  # fmt: skip


def mongodb_uri(settings: Settings, credentials: Credentials) -> str:
    """Connection string of the database: MONGODB_URI if set, else that of the embedded server."""
    if settings.external_mongodb:
        return settings.external_mongodb
    login = f"{credentials.mongodb_user}:{credentials.mongodb_password}"
    # The server's streaming heartbeat replies confuse the Java driver, which then ends long reads.
    options = "authSource=admin&serverMonitoringMode=poll"
    return f"mongodb://{login}@127.0.0.1:{settings.mongodb_port}/{settings.database}?{options}"


def job_variables(settings: Settings, credentials: Credentials, java_home: Path) -> dict[str, str]:
    """What Spark jobs, operators and tests read: the whole interface between the sides."""
    variables = {
        "MONGODB_URI": mongodb_uri(settings, credentials),
        "SHOPSTREAM_DATABASE": settings.database,
        "KAFKA_BOOTSTRAP_SERVERS": settings.kafka_servers,
        "SHOPSTREAM_TOPIC": settings.topic,
        "SHOPSTREAM_HOME": str(settings.home),
        "SHOPSTREAM_DATA_DIR": str(settings.data_dir),
        "SHOPSTREAM_RUNTIME": "local",
        "SHOPSTREAM_AIRFLOW_PORT": str(settings.airflow_port),
        "SHOPSTREAM_AIRFLOW_TASK_PORT": str(settings.airflow_task_port),
        "SHOPSTREAM_KAFKA_PORT": str(settings.kafka_port),
        "SHOPSTREAM_KAFKA_CONTROLLER_PORT": str(settings.kafka_controller_port),
        "SHOPSTREAM_MONGODB_PORT": str(settings.mongodb_port),
        "SHOPSTREAM_SPARK_PYTHON": str(settings.spark_python),
        "SHOPSTREAM_SPARK_JARS": str(settings.spark_jars),
        "JAVA_HOME": str(java_home),
        "PYTHONPATH": str(REPOSITORY),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "GX_ANALYTICS_ENABLED": "false",
    }
    if not (settings.external_mongodb or settings.mongodb_binary):
        # The embedded server does one thing at a time, and takes half as long again over two requests at once.
        variables["SHOPSTREAM_STREAM_WRITERS"] = "1"
    if settings.events:
        variables["SHOPSTREAM_EVENTS"] = str(settings.events)
    return variables


def airflow_variables(settings: Settings, credentials: Credentials) -> dict[str, str]:
    """Airflow's configuration: five processes, LocalExecutor, SQLite, nothing beyond 127.0.0.1, no calls home."""
    home = settings.state / "airflow"
    options: dict[str, dict[str, object]] = {
        "core": {
            "dags_folder": REPOSITORY / "dags",
            "plugins_folder": REPOSITORY / "plugins",
            "load_examples": False,
            "executor": "LocalExecutor",
            "parallelism": 4,
            # The DAGs own the platform's lifecycle, so they work from the start.
            "dags_are_paused_at_creation": False,
            "default_timezone": "utc",
            "fernet_key": credentials.fernet_key,
            "auth_manager": "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager",
            "simple_auth_manager_users": f"{credentials.airflow_user}:admin",
            "simple_auth_manager_passwords_file": home / "passwords.json",
            "execution_api_server_url": f"{settings.airflow_task_url}/execution/",
            # An empty host name tells the UI that there is no log server to ask (Airflow's listens on every
            # interface, so it is not started); it reads the log files, which lie on this machine.
            "hostname_callable": "builtins.str",
        },
        "database": {"sql_alchemy_conn": f"sqlite:///{home / 'airflow.db'}?timeout={_SQLITE_WAIT_SECONDS}"},
        "logging": {
            "base_log_folder": settings.logs / "tasks",
            "dag_processor_child_process_log_directory": settings.logs / "dag_processor",
            "colored_console_log": False,
        },
        "api": {
            "host": "127.0.0.1",
            "port": settings.airflow_port,
            "workers": 1,
            "base_url": settings.airflow_url,
            "secret_key": credentials.api_secret_key,
            "instance_name": "Shopstream",
            # The API's documentation pages load their scripts from the internet.
            "enable_swagger_ui": False,
        },
        "api_auth": {"jwt_secret": credentials.jwt_secret},
        # Tasks that a killed scheduler leaves behind are found within a minute instead of ten, and started again.
        "scheduler": {"orphaned_tasks_check_interval": 30, "task_instance_heartbeat_timeout": 120},
        "dag_processor": {
            # Look for new files, and at changed ones, often enough that a new DAG shows within half a minute.
            "refresh_interval": 10,
            "min_file_process_interval": 30,
            "parsing_processes": 1,
            "print_stats_interval": 0,
            "dag_bundle_storage_path": home / "bundles",
        },
        "usage_data_collection": {"enabled": False},
    }
    variables = {"AIRFLOW_HOME": str(home)}
    for section, values in options.items():
        for key, value in values.items():
            variables[f"AIRFLOW__{section.upper()}__{key.upper()}"] = str(value)
    return variables


def process_variables(
    environ: Mapping[str, str], settings: Settings, credentials: Credentials, java_home: Path
) -> dict[str, str]:
    """The complete environment of the stack's processes, given the caller's own.

    It carries the marker by which `down` recognises them, which `env` must never export: a developer's shell would
    become part of the stack.
    """
    variables = {key: value for key, value in environ.items() if _inherited(key)}
    variables |= job_variables(settings, credentials, java_home) | airflow_variables(settings, credentials)
    variables[MARKER] = settings.marker
    # setproctitle, which Airflow uses, would overwrite the memory the marker is read from.
    variables["SPT_NOENV"] = "1"
    # A thread pool per core times glibc's arena per thread costs hundreds of MB in idle Airflow processes.
    variables["MALLOC_ARENA_MAX"] = "2"
    variables["PYTHONUNBUFFERED"] = "1"
    for name in ("NO_PROXY", "no_proxy"):
        variables[name] = ",".join(filter(None, [variables.get(name), "127.0.0.1,localhost"]))
    return variables


def _inherited(name: str) -> bool:
    return any(name == known or (known.endswith("_") and name.startswith(known)) for known in INHERITED)
