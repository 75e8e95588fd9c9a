"""A broker and a document store of its own for one run of a measurement, in a folder that is deleted afterwards."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from pymongo import MongoClient
from pymongo.database import Database

from benchmarks import store
from benchmarks.processes import Child
from embedded import home, kafka, mongodb
from embedded.config import Settings, home_of, read_settings
from embedded.errors import StackError
from embedded.programs import KAFKA, MONGODB
from embedded.stack import EVENT_PARTITIONS, Stack, open_stack
from spark_jobs.config import Config
from tests.stack import port_settings

_SERVER_SECONDS = 60.0
_DIMENSIONS = ("products", "users", "dimension_versions")


@dataclass(frozen=True)
class Servers:
    """Running servers.

    Attributes:
        folder: Home of the servers, and place for everything a measurement writes.
        store: Name of the document store's program.
        children: The server processes by name (`kafka`, `mongodb`).
    """

    folder: Path
    store: str
    stack: Stack
    children: dict[str, Child] = field(default_factory=dict)

    def environ(self, name: str, topic: str = "") -> dict[str, str]:
        """Return the environment of jobs that keep their data under `name`, and read or write `topic`."""
        own = {"SHOPSTREAM_DATA_DIR": str(self.folder / name)}
        topics = {"SHOPSTREAM_TOPIC": topic} if topic else {}
        return {**self.stack.variables(os.environ), **own, **topics}

    def config(self, name: str, topic: str = "") -> Config:
        """Return the configuration of such jobs."""
        return Config.from_env(self.environ(name, topic))

    @cached_property
    def db(self) -> Database[dict[str, Any]]:
        """The platform's database."""
        client: MongoClient[dict[str, Any]] = MongoClient(self.stack.mongodb_uri, tz_aware=True)
        return client[self.stack.settings.database]

    def forget(self) -> None:
        """Drop every collection but the dimensions."""
        for name in self.db.list_collection_names():
            if name not in _DIMENSIONS:
                self.db[name].drop()

    def create_topic(self, topic: str) -> None:
        """Create a topic with the platform's number of partitions."""
        settings = read_settings(self.environ("", topic), self.stack.credentials.mongodb_password)
        kafka.create_topic(settings, Path(sys.executable), EVENT_PARTITIONS)

    def start_job(self, module: str, *arguments: str, environ: dict[str, str], log: str = "") -> Child:
        """Start `python -m module` in the jobs' environment."""
        name = log or module.rpartition(".")[2]
        command = [str(self.stack.settings.spark_python), "-m", module, *arguments]
        return Child(command, environ, self.folder / "logs" / f"{name}.log")

    def run_job(self, module: str, *arguments: str, environ: dict[str, str]) -> None:
        """Run a job to its end; raise StackError unless it ends well."""
        with ending(self.start_job(module, *arguments, environ=environ)) as job:
            job.wait()


@contextmanager
def ending(child: Child) -> Iterator[Child]:
    """Leave nothing of `child` behind."""
    try:
        yield child
    finally:
        child.end()


@contextmanager
def servers(wanted_store: str, keep: bool = False) -> Iterator[Servers]:
    """Start a broker and a document store, without Airflow, and end them.

    Args:
        wanted_store: One of `store.CHOICES`.
        keep: Whether their folder is kept, and its name printed, instead of deleted.

    Raises:
        StackError: Nothing is installed, or a server does not start.
    """
    installed = home_of(os.environ)
    binary = store.choose(wanted_store, installed / "cache")
    folder = Path(tempfile.mkdtemp(prefix="shopstream-bench-"))
    try:
        stack = open_stack(_settings(folder, installed, binary))
        name = binary.name.rpartition("-")[0] if binary else "secantusd-py"
        running = Servers(folder, name, stack)
        with ExitStack() as children:
            for program in stack.programs:
                if program.name in (KAFKA, MONGODB):
                    _start(running, program.name, list(program.command), children)
            yield running
    finally:
        if keep:
            print(f"kept: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


def _settings(folder: Path, installed: Path, binary: Path | None) -> Settings:
    if not (installed / "venvs").is_dir():
        raise StackError(f"{installed} holds no complete installation (run: make install)")
    home.claim(folder)
    for shared in ("venvs", "jars"):
        (folder / shared).symlink_to(installed / shared)
    server = {"SHOPSTREAM_MONGODB_BINARY": str(binary)} if binary else {}
    return read_settings({**port_settings(), **server, "SHOPSTREAM_HOME": str(folder)})


def _start(running: Servers, name: str, command: list[str], children: ExitStack) -> None:
    stack = running.stack
    ready: Callable[[], bool]
    if name == KAFKA:
        kafka.prepare(stack.settings, stack.java_home)

        def ready() -> bool:
            return kafka.answers(stack.settings.kafka_servers)
    else:
        mongodb.prepare(stack.settings, stack.credentials)

        def ready() -> bool:
            return mongodb.check(stack.mongodb_uri) is None

    child = Child(command, stack.variables(os.environ), stack.settings.logs / f"{name}.log")
    running.children[name] = children.enter_context(ending(child))
    deadline = time.monotonic() + _SERVER_SECONDS
    while not ready():
        child.require_alive()
        if time.monotonic() > deadline:
            raise StackError(f"{name} does not answer after {_SERVER_SECONDS:.0f} s: {child.last_words()}")
        time.sleep(0.1)
