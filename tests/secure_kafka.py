"""A Kafka broker like the one of helm-values/kafka.yaml: TLS by an authority of its own, a user, rights."""

from __future__ import annotations

import ipaddress
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from kafka import KafkaAdminClient
from kafka.admin import ACL, ACLOperation, ACLPermissionType, NewTopic, ResourcePattern, ResourceType
from kafka.admin import ACLResourcePatternType as PatternType

from embedded.kafka import JVM_OPTIONS, answers, new_cluster_id
from tests.stack import INSTALLED, free_ports, wait_for

USER, PASSWORD = "shopstream", "open sesame's door"
TOPIC = "customer_events"

# What the user may do, by resource and name; tests/unit/deployment compares it with the KafkaUser.
RIGHTS = {
    ("topic", TOPIC, "literal"): ["Describe", "DescribeConfigs", "Read", "Write"],
    ("group", "spark-kafka-source", "prefix"): ["Describe", "Read"],
}
OPERATIONS = {
    "Describe": ACLOperation.DESCRIBE,
    "DescribeConfigs": ACLOperation.DESCRIBE_CONFIGS,
    "Read": ACLOperation.READ,
    "Write": ACLOperation.WRITE,
}
RESOURCES = {"group": ResourceType.GROUP, "topic": ResourceType.TOPIC}
PATTERNS = {"literal": PatternType.LITERAL, "prefix": PatternType.PREFIXED}


@dataclass(frozen=True)
class SecureBroker:
    """A running broker.

    Attributes:
        secured: Address of the only way in for others.
        plain: Address of the tests' own way in, on this machine.
        authority: Certificate that signed the broker's, as PEM text.
    """

    secured: str
    plain: str
    authority: str

    @property
    def variables(self) -> dict[str, str]:
        """What the platform has to be told."""
        return {
            "KAFKA_BOOTSTRAP_SERVERS": self.secured,
            "SHOPSTREAM_KAFKA_USER": USER,
            "SHOPSTREAM_KAFKA_PASSWORD": PASSWORD,
            "SHOPSTREAM_KAFKA_CA": self.authority,
        }


@contextmanager
def secure_broker(folder: Path, host: str = "127.0.0.1") -> Iterator[SecureBroker]:
    """Run a broker with an empty topic, and the rights that helm-values/kafka.yaml gives the platform.

    Args:
        folder: Where it keeps everything.
        host: Address that it listens on and that its certificate names, besides 127.0.0.1.
    """
    authority = _certificates(folder, host)
    secured, plain, controller = free_ports(3)
    configuration = folder / "server.properties"
    configuration.write_text(_properties(folder, host, secured, plain, controller))
    java_home = json.loads((INSTALLED / "venvs" / "java.json").read_text())["java_home"]
    java = [f"{java_home}/bin/java", "-cp", f"{INSTALLED / 'jars' / 'kafka'}/*"]
    login = f'SCRAM-SHA-512=[name={USER},password="{PASSWORD}"]'
    tool = ["kafka.tools.StorageTool", "format", "--cluster-id", new_cluster_id(), "--add-scram", login]
    subprocess.run([*java, *tool, "--config", str(configuration)], check=True, capture_output=True)
    broker = SecureBroker(f"{host}:{secured}", f"127.0.0.1:{plain}", authority)
    with (folder / "kafka.log").open("wb") as output:
        process = subprocess.Popen(
            [*java, *JVM_OPTIONS, "kafka.Kafka", str(configuration)], stdout=output, stderr=output
        )
    try:
        wait_for(lambda: process.poll() is not None or answers(broker.plain), 60, "Kafka")
        assert process.poll() is None, (folder / "kafka.log").read_text()[-2000:]
        _provide(broker.plain)
        yield broker
    finally:
        process.terminate()
        process.wait(30)


def _properties(folder: Path, host: str, secured: int, plain: int, controller: int) -> str:
    values = {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.voters": f"1@127.0.0.1:{controller}",
        "listeners": f"SASL_SSL://{host}:{secured},PLAINTEXT://127.0.0.1:{plain},CONTROLLER://127.0.0.1:{controller}",
        "controller.listener.names": "CONTROLLER",
        "listener.security.protocol.map": "SASL_SSL:SASL_SSL,PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name": "PLAINTEXT",
        "log.dirs": folder / "data",
        "auto.create.topics.enable": "false",
        "sasl.enabled.mechanisms": "SCRAM-SHA-512",
        "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config": (
            "org.apache.kafka.common.security.scram.ScramLoginModule required;"
        ),
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": folder / "broker.pem",
        # Who has no rule may do nothing; the tests' own way in may do everything.
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS",
        "offsets.topic.replication.factor": 1,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "log.cleaner.dedupe.buffer.size": 16777216,
    }
    return "".join(f"{key}={value}\n" for key, value in values.items())


def _provide(server: str) -> None:
    """Make the topic, and give the user its rights."""
    admin = KafkaAdminClient(bootstrap_servers=[server])
    try:
        admin.create_topics([NewTopic(TOPIC, 3, 1)])
        admin.create_acls(
            [
                ACL(
                    f"User:{USER}",
                    "*",
                    OPERATIONS[operation],
                    ACLPermissionType.ALLOW,
                    ResourcePattern(RESOURCES[kind], name, PATTERNS[pattern]),
                )
                for (kind, name, pattern), operations in RIGHTS.items()
                for operation in operations
            ]
        )
    finally:
        admin.close()


def _certificates(folder: Path, host: str) -> str:
    """Make an authority and the broker's certificate; returns the authority's, as PEM text."""
    authority_key, broker_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority_name, broker_name = _name("shopstream test authority"), _name("shopstream test broker")
    addresses = {ipaddress.ip_address(one) for one in (host, "127.0.0.1")}
    authority = (
        _builder(authority_name, authority_name, authority_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key()), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    broker = (
        _builder(broker_name, authority_name, broker_key.public_key())
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(one) for one in sorted(addresses)]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    key = broker_key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "broker.pem").write_bytes(key + broker.public_bytes(pem))
    return authority.public_bytes(pem).decode()


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=1))
    )
