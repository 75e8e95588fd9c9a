"""What the stack's processes see, and what developers may export."""

from dataclasses import replace
from pathlib import Path

from embedded import environment
from embedded.config import REPOSITORY, Settings, read_settings
from embedded.credentials import Credentials

JAVA = Path("/opt/java")


def test_shell_leftovers_of_other_installations_are_dropped(settings: Settings, secrets: Credentials) -> None:
    caller = {
        "PATH": "/bin",
        "HOME": "/home/u",
        "LC_ALL": "C.UTF-8",
        "SPARK_HOME": "/opt/spark",
        "PYTHONHOME": "/x",
        "PYTHONPATH": "/x",
        "JAVA_TOOL_OPTIONS": "-Xmx8g",
        "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
        "AIRFLOW__CORE__REMOTE": "x",
        "AIRFLOW_CONN_ALERTS": "http://hook",
        "MAKEFLAGS": "-j4",
    }
    variables = environment.process_variables(caller, settings, secrets, JAVA)
    assert variables["PATH"] == "/bin"
    assert variables["LC_ALL"] == "C.UTF-8"
    assert variables["AIRFLOW_CONN_ALERTS"] == "http://hook"
    assert variables["AIRFLOW__CORE__EXECUTOR"] == "LocalExecutor"
    assert variables["PYTHONPATH"] == str(REPOSITORY)
    dropped = {"SPARK_HOME", "PYTHONHOME", "JAVA_TOOL_OPTIONS", "AIRFLOW__CORE__REMOTE", "MAKEFLAGS"}
    assert not dropped & variables.keys()


def test_calls_to_this_machine_bypass_a_proxy(settings: Settings, secrets: Credentials) -> None:
    variables = environment.process_variables({"no_proxy": "intranet"}, settings, secrets, JAVA)
    assert variables["no_proxy"] == "intranet,127.0.0.1,localhost"
    assert variables["NO_PROXY"] == "127.0.0.1,localhost"


def test_exported_variables_never_carry_the_marker(settings: Settings, secrets: Credentials) -> None:
    exported = environment.job_variables(settings, secrets, JAVA) | environment.airflow_variables(settings, secrets)
    assert environment.MARKER not in exported
    assert environment.process_variables({}, settings, secrets, JAVA)[environment.MARKER] == settings.marker


def test_nothing_listens_beyond_this_machine_or_calls_home(settings: Settings, secrets: Credentials) -> None:
    variables = environment.airflow_variables(settings, secrets)
    assert variables["AIRFLOW__API__HOST"] == "127.0.0.1"
    assert variables["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == "http://127.0.0.1:8081/execution/"
    assert variables["AIRFLOW__API__ENABLE_SWAGGER_UI"] == "False"
    assert variables["AIRFLOW__CORE__LOAD_EXAMPLES"] == "False"


def test_connection_string(settings: Settings, secrets: Credentials) -> None:
    assert environment.mongodb_uri(settings, secrets) == (
        "mongodb://shopstream:dbpass@127.0.0.1:27017/shopstream?authSource=admin&serverMonitoringMode=poll"
    )
    own = read_settings({"MONGODB_URI": "mongodb://u:p@db.example/x"})
    assert environment.mongodb_uri(own, secrets) == "mongodb://u:p@db.example/x"


def test_exported_variables_describe_the_same_stack(settings: Settings, secrets: Credentials) -> None:
    exported = environment.job_variables(settings, secrets, JAVA)
    assert read_settings(exported, secrets.mongodb_password) == settings


def test_only_the_embedded_server_is_written_to_one_by_one(settings: Settings, secrets: Credentials) -> None:
    own = replace(settings, external_mongodb="mongodb://user:password@elsewhere/")
    assert environment.job_variables(settings, secrets, JAVA)["SHOPSTREAM_STREAM_WRITERS"] == "1"
    assert "SHOPSTREAM_STREAM_WRITERS" not in environment.job_variables(own, secrets, JAVA)
