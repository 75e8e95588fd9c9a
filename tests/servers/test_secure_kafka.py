"""The job side on a Kafka that wants TLS, a user and rights; those of helm-values/kafka.yaml suffice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from kafka import KafkaProducer
from pyspark.sql import SparkSession

from spark_jobs.config import Config
from spark_jobs.events.topic import KafkaUnreachable, open_topic, topic_id
from spark_jobs.kafka_login import KafkaLogin
from spark_jobs.session import spark_session
from tests.secure_kafka import PASSWORD, TOPIC, SecureBroker, secure_broker
from tests.stack import INSTALLED

RECORDS = 50


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureBroker]:
    with secure_broker(tmp_path_factory.mktemp("kafka")) as running:
        yield running


@pytest.fixture(scope="module")
def config(broker: SecureBroker) -> Config:
    env = {
        "MONGODB_URI": "mongodb://127.0.0.1:1/none",
        "SHOPSTREAM_SPARK_JARS": str(INSTALLED / "jars" / "spark"),
        "SHOPSTREAM_SPARK_DRIVER_MEMORY": "512m",
    }
    return Config.from_env(env | broker.variables)


@pytest.fixture(scope="module")
def records(config: Config) -> int:
    """Records in the topic, sent as a replay sends them."""
    client = KafkaProducer(
        bootstrap_servers=config.kafka_bootstrap,
        acks="all",
        enable_idempotence=True,
        compression_type="lz4",
        **config.kafka_login.client_options(),
    )
    sent = [client.send(TOPIC, str(number).encode(), key=b"%d" % number) for number in range(RECORDS)]
    client.flush()
    for one in sent:
        one.get(timeout=30)
    client.close()
    return RECORDS


@pytest.fixture(scope="module")
def spark(config: Config) -> Iterator[SparkSession]:
    session = spark_session("test-kafka-login", config)
    yield session
    session.stop()


def test_the_client_reads_the_topic(config: Config, records: int) -> None:
    with open_topic(config) as topic:
        beginning, end = topic.offsets()
        newest = list(topic.newest(end, beginning, 5))
    assert sum(end.values()) == records
    assert len(newest) == 15


def test_the_topic_has_an_id_of_its_own(config: Config, records: int) -> None:
    assert topic_id(config)
    assert topic_id(config) == topic_id(config)
    assert topic_id(replace(config, topic="no_such_topic")) == ""


def test_the_stream_reads_the_topic_and_its_checkpoint_holds_no_password(
    config: Config, records: int, spark: SparkSession, tmp_path: Path
) -> None:
    source = (
        spark.readStream.format("kafka")
        .option("kafka.bootstrap.servers", config.kafka_bootstrap)
        .options(**config.kafka_login.source_options())
        .option("subscribe", config.topic)
        .option("startingOffsets", "earliest")
        .load()
    )
    query = (
        source.writeStream.format("memory")
        .queryName("records")
        .option("checkpointLocation", str(tmp_path))
        .trigger(availableNow=True)
        .start()
    )
    query.awaitTermination(120)
    assert spark.table("records").count() == records
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert files
    assert not [path for path in files if PASSWORD.encode() in path.read_bytes()]


@pytest.mark.parametrize("changed", [{"password": "wrong"}, {"authority": ""}])
def test_a_refused_login_is_told_of(config: Config, changed: dict[str, str]) -> None:
    wrong = replace(config, kafka_login=replace(config.kafka_login, **changed))
    message = "as shopstream over TLS .a refused login or certificate looks the same"
    with pytest.raises(KafkaUnreachable, match=message) as refused, open_topic(wrong):
        pass
    assert "wrong" not in str(refused.value)


def test_nobody_gets_in_without_a_login(config: Config) -> None:
    with pytest.raises(KafkaUnreachable), open_topic(replace(config, kafka_login=KafkaLogin())):
        pass
