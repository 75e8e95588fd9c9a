"""Puts Spark's connectors beside pyspark's own jars, while an image is built: fetch_jars.py VENV JAVA.

Downloads and verifies them as `make install` does. Java knows none of the certificate authorities that the build's
machine may have added to the system's folder, so all of that folder's are handed to it.
"""

from __future__ import annotations

import os
import shutil
import ssl
import sys
import tempfile
from pathlib import Path

from embedded import jars
from embedded.errors import StackError


def authorities(folder: Path) -> str:
    """All certificates below `folder` as one PEM text."""
    files = sorted(path for path in folder.glob("*") if path.is_file() and path.suffix in (".crt", ".pem", ".0"))
    return "\n".join(path.read_text(encoding="ascii", errors="replace") for path in files)


def main(venv: Path, java: Path) -> int:
    """Fetch, verify and place the jars; returns the exit status."""
    with tempfile.TemporaryDirectory() as scratch:
        bundle = Path(scratch, "authorities.pem")
        bundle.write_text(authorities(Path(ssl.get_default_verify_paths().capath or "/etc/ssl/certs")))
        log = Path(scratch, "ivy.log")
        try:
            jars.install(Path(scratch, "jars"), java, venv, {"SSL_CERT_FILE": str(bundle), **os.environ}, log)
        except StackError as error:
            print(log.read_text(errors="replace")[-2000:] if log.exists() else "", file=sys.stderr)
            print(f"error: {error}", file=sys.stderr)
            return 1
        target = next(venv.glob("lib/python3.*/site-packages/pyspark/jars"))
        for jar in sorted(Path(scratch, "jars", "spark").glob("*.jar")):
            shutil.copyfile(jar, target / jar.name)
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
