from pathlib import Path

import pytest

from shopstream import config as config_module
from shopstream.config import ClusterConfig, Config, ConfigError, StreamLimits, default_events_file

VALID = {"MONGODB_URI": "mongodb://u:p@127.0.0.1:27017/shopstream"}


def test_defaults_work_out_of_the_box() -> None:
    config = Config.from_env(VALID)
    assert config.runtime == "local"
    assert config.database == "shopstream"
    assert config.topic == "customer_events"
    assert config.kafka_bootstrap == "127.0.0.1:9092"
    assert config.home == config_module.PROJECT / ".shopstream"
    assert config.data_dir == config.home / "state"
    assert config.spark_python == config.home / "venvs" / "spark" / "bin" / "python"
    assert config.stream == StreamLimits()


def test_everything_can_be_set() -> None:
    env = VALID | {
        "SHOPSTREAM_HOME": "/srv/home",
        "SHOPSTREAM_DATA_DIR": "/srv/data",
        "SHOPSTREAM_DATABASE": "shop",
        "SHOPSTREAM_TOPIC": "clicks",
        "KAFKA_BOOTSTRAP_SERVERS": "a:1, b:2",
        "SHOPSTREAM_STREAM_START_SECONDS": "7",
    }
    config = Config.from_env(env)
    assert (config.home, config.data_dir) == (Path("/srv/home"), Path("/srv/data"))
    assert (config.database, config.topic, config.kafka_bootstrap) == ("shop", "clicks", "a:1, b:2")
    assert config.stream.start_seconds == 7


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("MONGODB_URI", "", "make mongodb-uri"),
        ("MONGODB_URI", "http://127.0.0.1", "MONGODB_URI"),
        ("MONGODB_URI", "mongodb://", "MONGODB_URI"),
        ("MONGODB_URI", "mongodb://[::1", "MONGODB_URI"),
        ("SHOPSTREAM_RUNTIME", "mainframe", "SHOPSTREAM_RUNTIME='mainframe'"),
        ("KAFKA_BOOTSTRAP_SERVERS", "localhost", "KAFKA_BOOTSTRAP_SERVERS='localhost'"),
        ("KAFKA_BOOTSTRAP_SERVERS", "localhost:99999", "host:port"),
        ("SHOPSTREAM_HOME", "relative/path", "SHOPSTREAM_HOME"),
        ("SHOPSTREAM_DATA_DIR", "relative", "SHOPSTREAM_DATA_DIR"),
        ("SHOPSTREAM_STREAM_LAG_EVENTS", "0", "SHOPSTREAM_STREAM_LAG_EVENTS"),
        ("SHOPSTREAM_STREAM_STOP_SECONDS", "1.5", "SHOPSTREAM_STREAM_STOP_SECONDS"),
    ],
)
def test_a_bad_value_is_named(variable: str, value: str, message: str) -> None:
    with pytest.raises(ConfigError, match=r"^[^\n]+$") as caught:
        Config.from_env(VALID | {variable: value})
    assert message in str(caught.value)


KUBERNETES = VALID | {"SHOPSTREAM_RUNTIME": "kubernetes", "SHOPSTREAM_SPARK_IMAGE": "shopstream-spark:1"}


def test_a_cluster_is_configured_only_where_it_is_used() -> None:
    assert Config.from_env(VALID | {"SHOPSTREAM_IMAGE_PULL_POLICY": "nonsense"}).cluster is None


def test_defaults_of_a_cluster(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    cluster = Config.from_env(KUBERNETES).cluster
    assert cluster == ClusterConfig("shopstream", "shopstream-spark:1", "IfNotPresent", 300, 1, {})
    own = tmp_path / "namespace"
    own.write_text("shop\n")
    monkeypatch.setattr(config_module, "NAMESPACE_FILE", own)
    assert ClusterConfig.from_env(KUBERNETES).namespace == "shop"
    assert ClusterConfig.from_env(KUBERNETES | {"SHOPSTREAM_NAMESPACE": "else"}).namespace == "else"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("SHOPSTREAM_SPARK_IMAGE", ""),
        ("SHOPSTREAM_SPARK_IMAGE", "a b"),
        ("SHOPSTREAM_NAMESPACE", "Shop"),
        ("SHOPSTREAM_IMAGE_PULL_POLICY", "never"),
        ("SHOPSTREAM_POD_START_SECONDS", "0"),
        ("SHOPSTREAM_STREAM_EXECUTORS", "two"),
        ("SHOPSTREAM_POD_RESOURCES", '{"churn": {"memory": "much"}}'),
    ],
)
def test_a_bad_value_of_the_cluster_is_named(variable: str, value: str) -> None:
    with pytest.raises(ConfigError, match=r"^[^\n]+$") as caught:
        Config.from_env(KUBERNETES | {variable: value})
    assert variable in str(caught.value)


def test_resources_of_a_job() -> None:
    cluster = ClusterConfig.from_env(KUBERNETES | {"SHOPSTREAM_POD_RESOURCES": '{"churn": {"memory": "9Gi"}}'})
    assert cluster.resources_of("churn").memory == "9Gi"
    assert cluster.resources_of("validate").memory == "2Gi"


def test_the_events_file_of_the_environment() -> None:
    assert default_events_file({"SHOPSTREAM_EVENTS": "/data/2019-Oct.csv.gz"}) == "/data/2019-Oct.csv.gz"
    with pytest.raises(ConfigError, match="SHOPSTREAM_EVENTS"):
        default_events_file({})


def test_the_check_at_start_up(environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert config_module.main() == 0
    environment.setenv("SHOPSTREAM_RUNTIME", "mainframe")
    assert config_module.main() == 2
    assert capsys.readouterr().err.startswith("error: SHOPSTREAM_RUNTIME='mainframe'")
