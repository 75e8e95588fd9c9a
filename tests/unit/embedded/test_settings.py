"""Settings: defaults, every kind of bad value, and what counts as the user's own server."""

from pathlib import Path

import pytest

from embedded.config import REPOSITORY, read_settings
from embedded.errors import StackError


def test_defaults_work_out_of_the_box() -> None:
    settings = read_settings({})
    assert settings.home == REPOSITORY / ".shopstream"
    assert settings.data_dir == settings.home / "state"
    assert settings.kafka_servers == "127.0.0.1:9092"
    assert settings.airflow_url == "http://127.0.0.1:8080"
    assert (settings.database, settings.topic) == ("shopstream", "customer_events")
    assert settings.external_mongodb is None
    assert settings.external_kafka is None


def test_empty_means_unset() -> None:
    assert read_settings({"SHOPSTREAM_AIRFLOW_PORT": "", "MONGODB_URI": " ", "SHOPSTREAM_HOME": ""}) == read_settings(
        {}
    )


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("SHOPSTREAM_AIRFLOW_PORT", "0"),
        ("SHOPSTREAM_AIRFLOW_PORT", "65536"),
        ("SHOPSTREAM_KAFKA_PORT", "-1"),
        ("SHOPSTREAM_KAFKA_PORT", "9092.5"),
        ("SHOPSTREAM_MONGODB_PORT", "abc"),
        ("SHOPSTREAM_MONGODB_PORT", "٣"),
        ("SHOPSTREAM_KAFKA_CONTROLLER_PORT", "9092"),
        ("SHOPSTREAM_MIN_MEMORY_MB", "0"),
        ("SHOPSTREAM_MIN_DISK_MB", "much"),
        ("SHOPSTREAM_DATABASE", "two words"),
        ("SHOPSTREAM_TOPIC", "a/b"),
        ("SHOPSTREAM_MONGODB_SYNC_ON_COMMIT", "perhaps"),
        ("SHOPSTREAM_MONGODB_BINARY", "/nonexistent/server"),
        ("SHOPSTREAM_RUNTIME", "kubernetes"),
        ("KAFKA_BOOTSTRAP_SERVERS", "broker"),
        ("KAFKA_BOOTSTRAP_SERVERS", "broker:9092,other:99999"),
        ("MONGODB_URI", "localhost:27017"),
        ("MONGODB_URI", "http://user:secret@host/db"),
        ("MONGODB_URI", "mongodb://user:secret@/db"),
    ],
)
def test_bad_value_is_one_line_that_says_what_to_do(variable: str, value: str) -> None:
    with pytest.raises(StackError) as caught:
        read_settings({variable: value})
    text = str(caught.value)
    assert "\n" not in text
    assert "(" in text
    assert variable in text or "port" in text
    assert "secret" not in text


@pytest.mark.parametrize("sign", list(":,;%?#$'\"`\\\n"))
def test_home_must_be_usable_in_every_configuration_file(sign: str) -> None:
    with pytest.raises(StackError, match="SHOPSTREAM_HOME"):
        read_settings({"SHOPSTREAM_HOME": f"/tmp/a{sign}b"})


def test_home_may_contain_spaces_and_is_resolved(tmp_path: Path) -> None:
    target = tmp_path / "a home"
    target.mkdir()
    (tmp_path / "link").symlink_to(target)
    assert read_settings({"SHOPSTREAM_HOME": str(tmp_path / "link")}).home == target


def test_marker_differs_between_homes_and_not_between_paths_to_one(tmp_path: Path) -> None:
    one = read_settings({"SHOPSTREAM_HOME": str(tmp_path / "one")})
    same = read_settings({"SHOPSTREAM_HOME": str(tmp_path / "x" / ".." / "one")})
    other = read_settings({"SHOPSTREAM_HOME": str(tmp_path / "other")})
    assert one.marker == same.marker != other.marker


def test_own_servers_are_recognised() -> None:
    own = "mongodb://shopstream:abc123@127.0.0.1:27017/shopstream?authSource=admin"
    foreign = "mongodb://me:secret@db.example/shop"
    assert read_settings({"MONGODB_URI": own}, "abc123").external_mongodb is None
    assert read_settings({"MONGODB_URI": own}, None).external_mongodb == own
    assert read_settings({"MONGODB_URI": foreign}, "abc123").external_mongodb == foreign
    assert read_settings({"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9092"}).external_kafka is None
    assert read_settings({"KAFKA_BOOTSTRAP_SERVERS": "a:1, b:2"}).external_kafka == "a:1,b:2"


def test_variables_lead_back_to_the_same_settings(tmp_path: Path) -> None:
    environ = {
        "SHOPSTREAM_HOME": str(tmp_path),
        "SHOPSTREAM_KAFKA_PORT": "19092",
        "MONGODB_URI": "mongodb+srv://me:secret@db.example/shop",
        "KAFKA_BOOTSTRAP_SERVERS": "a:1",
        "SHOPSTREAM_EVENTS": str(tmp_path / "events.csv"),
        "SHOPSTREAM_MONGODB_SYNC_ON_COMMIT": "true",
    }
    settings = read_settings(environ)
    assert read_settings({"SHOPSTREAM_HOME": str(tmp_path)} | settings.as_variables()) == settings
