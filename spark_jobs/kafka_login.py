"""How to reach brokers that let nobody in unknown: TLS, and a user with a password (SCRAM-SHA-512).

Airflow's side has its own small copy, `shopstream.kafka_login`: neither side imports the other.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from typing import Any

MECHANISM = "SCRAM-SHA-512"


@dataclass(frozen=True)
class KafkaLogin:
    """What brokers ask for; nothing unless given.

    Attributes:
        user: Who we are; empty for brokers without a login. Given, the connection is encrypted, too.
        password: The user's password.
        authority: Certificate of the authority that signed the brokers' own, as PEM text; empty for one that the system
            trusts. Given without a user, the connection is encrypted and anonymous.
    """

    user: str = ""
    password: str = field(default="", repr=False)
    authority: str = ""

    @property
    def protocol(self) -> str:
        """Kafka's name for it. A password never goes over an open line."""
        if self.user:
            return "SASL_SSL"
        return "SSL" if self.authority else "PLAINTEXT"

    @property
    def way(self) -> str:
        """What stands behind the brokers' address in a message: clients tell refusals only in their log."""
        if self.protocol == "PLAINTEXT":
            return ""
        return f"{f' as {self.user}' if self.user else ''} over TLS (a refused login or certificate looks the same)"

    def problem(self) -> str | None:
        """Return what is wrong with it, naming the variable that it comes from; None when nothing is."""
        if self.user and not self.password:
            return "SHOPSTREAM_KAFKA_USER is set and SHOPSTREAM_KAFKA_PASSWORD is not (set both, or neither)"
        try:
            if self.authority:
                self._context()
        except (ssl.SSLError, TypeError) as error:
            return f"SHOPSTREAM_KAFKA_CA is no certificate in PEM form ({error})"
        return None

    def client_options(self) -> dict[str, Any]:
        """Return the arguments by which any of kafka-python's clients logs in."""
        options: dict[str, Any] = {"security_protocol": self.protocol}
        if self.protocol != "PLAINTEXT":
            options["ssl_context"] = self._context()
        if self.user:
            options |= {
                "sasl_mechanism": MECHANISM,
                "sasl_plain_username": self.user,
                "sasl_plain_password": self.password,
            }
        return options

    def source_options(self) -> dict[str, str]:
        """Return the options by which Spark's Kafka source logs in. Executors get them with their tasks."""
        options = {"kafka.security.protocol": self.protocol}
        if self.authority:
            options |= {"kafka.ssl.truststore.type": "PEM", "kafka.ssl.truststore.certificates": self.authority}
        if self.user:
            module = "org.apache.kafka.common.security.scram.ScramLoginModule"
            options |= {
                "kafka.sasl.mechanism": MECHANISM,
                "kafka.sasl.jaas.config": (
                    f"{module} required username={_quoted(self.user)} password={_quoted(self.password)};"
                ),
            }
        return options

    def _context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cadata=self.authority or None)


def _quoted(text: str) -> str:
    """Return a text as JAAS configurations want it."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
