from __future__ import annotations

import ssl

import pytest

from spark_jobs.config import Config
from spark_jobs.errors import JobError
from spark_jobs.kafka_login import KafkaLogin

ENV = {"MONGODB_URI": "mongodb://u:p@127.0.0.1:27017/shopstream"}


def test_without_settings_nothing_is_asked_for() -> None:
    login = Config.from_env(ENV).kafka_login
    assert login == KafkaLogin()
    assert login.client_options() == {"security_protocol": "PLAINTEXT"}
    assert login.source_options() == {"kafka.security.protocol": "PLAINTEXT"}


def test_a_user_logs_in_over_tls_only() -> None:
    login = Config.from_env(
        ENV | {"SHOPSTREAM_KAFKA_USER": "shop", "SHOPSTREAM_KAFKA_PASSWORD": 'a "quoted" \\ word'}
    ).kafka_login
    client = login.client_options()
    context = client.pop("ssl_context")
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert client == {
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "shop",
        "sasl_plain_password": 'a "quoted" \\ word',
    }
    source = login.source_options()
    assert source["kafka.security.protocol"] == "SASL_SSL"
    assert source["kafka.sasl.jaas.config"] == (
        "org.apache.kafka.common.security.scram.ScramLoginModule required "
        'username="shop" password="a \\"quoted\\" \\\\ word";'
    )
    assert "kafka.ssl.truststore.type" not in source, "what the system trusts"


def test_the_password_is_in_no_text_of_the_settings() -> None:
    config = Config.from_env(ENV | {"SHOPSTREAM_KAFKA_USER": "shop", "SHOPSTREAM_KAFKA_PASSWORD": "sesame"})
    assert "sesame" not in repr(config)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"SHOPSTREAM_KAFKA_USER": "shop"}, "SHOPSTREAM_KAFKA_PASSWORD is not"),
        ({"SHOPSTREAM_KAFKA_CA": "/etc/ca.pem"}, "SHOPSTREAM_KAFKA_CA is no certificate in PEM form"),
        ({"SHOPSTREAM_KAFKA_CA": "zertifiziert für uns"}, "SHOPSTREAM_KAFKA_CA is no certificate in PEM form"),
    ],
)
def test_what_cannot_work_is_said_at_once(settings: dict[str, str], message: str) -> None:
    with pytest.raises(JobError, match=message):
        Config.from_env(ENV | settings)


def test_a_password_without_a_user_is_not_used() -> None:
    assert Config.from_env(ENV | {"SHOPSTREAM_KAFKA_PASSWORD": "sesame"}).kafka_login.protocol == "PLAINTEXT"
