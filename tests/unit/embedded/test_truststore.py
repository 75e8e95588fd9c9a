"""The trust store for Java's downloads."""

import hashlib
import ssl
import struct
from pathlib import Path

from embedded import truststore

PEM = "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n"


def test_bundle_of_the_environment(tmp_path: Path) -> None:
    bundle = tmp_path / "ca.pem"
    bundle.write_text("# comment\n" + PEM.format("aGVsbG8=") + PEM.format("d29ybGQ=") + PEM.format("aGVsbG8="))
    assert truststore.certificates({"SSL_CERT_FILE": str(bundle)}) == [b"hello", b"world"]
    assert truststore.certificates({"REQUESTS_CA_BUNDLE": str(bundle)}) == [b"hello", b"world"]
    assert truststore.certificates({"SSL_CERT_FILE": str(tmp_path / "gone")}) == []
    assert truststore.certificates({}) == []


def test_jks_layout() -> None:
    store = truststore.jks([b"\x30\x00"])
    assert struct.unpack(">III", store[:12]) == (0xFEEDFEED, 2, 1)
    assert store[12:].startswith(struct.pack(">IH", 2, 3) + b"ca0")
    assert store[:-20].endswith(struct.pack(">H", 5) + b"X.509" + struct.pack(">I", 2) + b"\x30\x00")
    seal = hashlib.sha1("changeit".encode("utf-16-be") + b"Mighty Aphrodite" + store[:-20])  # noqa: S324 (the format's)
    assert store[-20:] == seal.digest()


def test_options(tmp_path: Path) -> None:
    store = tmp_path / "store.jks"
    assert truststore.java_options({}, store) == []
    assert truststore.java_options({"HTTPS_PROXY": "http://user:pw@proxy.corp:3128/"}, store) == [
        "-Dhttps.proxyHost=proxy.corp",
        "-Dhttps.proxyPort=3128",
    ]
    bundle = tmp_path / "ca.pem"
    bundle.write_text(PEM.format(ssl.DER_cert_to_PEM_cert(b"x").splitlines()[1]))
    assert f"-Djavax.net.ssl.trustStore={store}" in truststore.java_options({"SSL_CERT_FILE": str(bundle)}, store)
    assert store.read_bytes() == truststore.jks([b"x"])
