"""Makes Java trust the certificate authorities that the user's environment names for everything else.

pip, uv and curl read SSL_CERT_FILE or REQUESTS_CA_BUNDLE; Java reads neither. Behind a company proxy with its own
authority, downloads by Java would fail. The JKS format is written here because keytool imports one certificate per
run, which takes a minute for a system's bundle.
"""

from __future__ import annotations

import hashlib
import re
import ssl
import struct
from collections.abc import Mapping
from pathlib import Path

PASSWORD = "changeit"  # noqa: S105 (Java's own default: a trust store holds public certificates only)
CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.S)


def certificates(environ: Mapping[str, str]) -> list[bytes]:
    """DER certificates of the bundle named by SSL_CERT_FILE or REQUESTS_CA_BUNDLE; empty when neither is set."""
    for variable in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"):
        bundle = Path(environ.get(variable) or "/nonexistent")
        if bundle.is_file():
            blocks = CERTIFICATE.findall(bundle.read_text(encoding="ascii", errors="replace"))
            return sorted({ssl.PEM_cert_to_DER_cert(block) for block in blocks})
    return []


def jks(certs: list[bytes]) -> bytes:
    """A Java key store (format "JKS", version 2) that trusts `certs` (DER).

    Source of the layout: the comment in sun.security.provider.JavaKeyStore.engineStore of OpenJDK.
    """
    body = struct.pack(">III", 0xFEEDFEED, 2, len(certs))
    for number, certificate in enumerate(certs):
        # Tag 2 is a trusted certificate; its date (milliseconds) is of no consequence.
        body += struct.pack(">I", 2) + _text(f"ca{number}") + struct.pack(">Q", 0)
        body += _text("X.509") + struct.pack(">I", len(certificate)) + certificate
    return body + hashlib.sha1(PASSWORD.encode("utf-16-be") + b"Mighty Aphrodite" + body).digest()  # noqa: S324 (format)


def java_options(environ: Mapping[str, str], store: Path) -> list[str]:
    """JVM options that make Java use the environment's certificate bundle (written to `store`) and HTTPS proxy."""
    options = []
    if certs := certificates(environ):
        store.write_bytes(jks(certs))
        options += [
            f"-Djavax.net.ssl.trustStore={store}",
            f"-Djavax.net.ssl.trustStorePassword={PASSWORD}",
            "-Djavax.net.ssl.trustStoreType=JKS",
        ]
    proxy = environ.get("https_proxy") or environ.get("HTTPS_PROXY") or ""
    if match := re.fullmatch(r"(?:https?://)?(?:[^@/]*@)?([^:/@]+):(\d+)/?", proxy):
        options += [f"-Dhttps.proxyHost={match.group(1)}", f"-Dhttps.proxyPort={match.group(2)}"]
    return options


def _text(value: str) -> bytes:
    encoded = value.encode()
    return struct.pack(">H", len(encoded)) + encoded
