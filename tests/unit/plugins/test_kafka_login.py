import re

import pytest
from airflow_for_tests import REPOSITORY

from shopstream.config import Config, ConfigError
from shopstream.kafka_login import KafkaLogin

ENV = {"MONGODB_URI": "mongodb://u:p@127.0.0.1:27017/shopstream"}


def test_without_settings_nothing_is_asked_for() -> None:
    assert Config.from_env(ENV).kafka_login.client_options() == {"security_protocol": "PLAINTEXT"}


def test_a_user_logs_in_over_tls() -> None:
    env = ENV | {"SHOPSTREAM_KAFKA_USER": "shop", "SHOPSTREAM_KAFKA_PASSWORD": "sesame"}
    config = Config.from_env(env)
    options = config.kafka_login.client_options()
    assert options["security_protocol"] == "SASL_SSL"
    assert (options["sasl_plain_username"], options["sasl_plain_password"]) == ("shop", "sesame")
    assert options["ssl_context"].check_hostname
    assert "sesame" not in repr(config)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"SHOPSTREAM_KAFKA_USER": "shop"}, "SHOPSTREAM_KAFKA_PASSWORD is not"),
        ({"SHOPSTREAM_KAFKA_CA": "/etc/ca.pem"}, "SHOPSTREAM_KAFKA_CA is no certificate"),
    ],
)
def test_what_cannot_work_is_said(settings: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Config.from_env(ENV | settings)


def test_both_sides_mean_the_same() -> None:
    """Neither may import the other; so the text is compared."""
    theirs = (REPOSITORY / "spark_jobs" / "kafka_login.py").read_text()
    ours = (REPOSITORY / "plugins" / "shopstream" / "kafka_login.py").read_text()
    for part in (
        "MECHANISM = .*",
        "    def way.*?(?=\n    def )",
        "    def problem.*?(?=\n    def )",
        "    def client_options.*?(?=\n    def )",
    ):
        found = re.search(part, ours, re.DOTALL if "def" in part else 0)
        assert found
        assert found[0] in theirs
    assert KafkaLogin(authority="x").protocol == "SSL"
