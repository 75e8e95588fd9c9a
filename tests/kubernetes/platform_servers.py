"""Kafka and the document store of the tests of the whole platform: on this machine, where pods reach them."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pymongo import MongoClient
from pymongo.database import Database

from embedded.mongodb import problem
from tests.secure_kafka import SecureBroker, secure_broker
from tests.stack import INSTALLED, wait_for

DATABASE = "shopstream"


@dataclass(frozen=True)
class Servers:
    """Both, running.

    Attributes:
        broker: Kafka, which asks for TLS and a user.
        mongodb_uri: Connection string of the document store, for pods and for this machine.
        db: The platform's database in it.
    """

    broker: SecureBroker
    mongodb_uri: str
    db: Database[dict[str, Any]]

    @property
    def variables(self) -> dict[str, str]:
        """What a job on this machine has to be told."""
        return {**self.broker.variables, "MONGODB_URI": self.mongodb_uri, "SHOPSTREAM_DATABASE": DATABASE}


@contextmanager
def running_servers(folder: Path, host: str) -> Iterator[Servers]:
    """Run both, and end them.

    Args:
        folder: Where they keep everything.
        host: Address of this machine that pods reach, and that only they do.
    """
    (folder / "kafka").mkdir()
    with secure_broker(folder / "kafka", host) as broker, _document_store(folder / "mongodb", host) as uri:
        client: MongoClient[dict[str, Any]] = MongoClient(uri, tz_aware=True)
        with client:
            wait_for(lambda: problem(client) is None, 60, "the document store")
            yield Servers(broker, uri, client[DATABASE])


@contextmanager
def _document_store(folder: Path, host: str) -> Iterator[str]:
    folder.mkdir()
    (folder / "options.toml").write_text("# every option is on the command line\n")
    with socket.socket() as free:
        free.bind((host, 0))
        port = free.getsockname()[1]
    command = [str(INSTALLED / "venvs" / "stack" / "bin" / "secantusd-py"), "--config", str(folder / "options.toml")]
    command += ["--host", host, "--port", str(port), "--storage-path", str(folder / "data"), "--standalone"]
    with (folder / "server.log").open("wb") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        # Java's driver is confused by this server's streamed heartbeats.
        yield f"mongodb://{host}:{port}/?directConnection=true&serverMonitoringMode=poll"
    finally:
        process.terminate()
        process.wait(30)
