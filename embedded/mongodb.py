"""The embedded MongoDB server (SecantusDB), always a process of its own, and the check of a user's own server."""

from __future__ import annotations

import hashlib
import os
import re
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError
from pymongo.uri_parser import parse_uri

from embedded.config import Settings
from embedded.credentials import Credentials
from embedded.environment import MARKER
from embedded.errors import StackError

USER_EXISTS = 51003
PROVISION_SECONDS = 30.0


def command(settings: Settings, port: int, authentication: bool) -> list[str]:
    """The server's command line; without `authentication` only ever for `provision`."""
    binary = settings.mongodb_binary or settings.venvs / "stack/bin/secantusd-py"
    parts = [str(binary), "--config", str(_own_config(settings)), "--host", "127.0.0.1", "--port", str(port)]
    parts += ["--storage-path", str(settings.state / "mongodb"), "--cache-size", "1G", "--log-level", "WARNING"]
    # Nothing here reads change streams, and without the log they need inserts are half as fast again.
    parts += ["--standalone"]
    parts += ["--auth"] if authentication else []
    parts += ["--sync-on-commit"] if settings.mongodb_sync_on_commit else []
    return parts


def prepare(settings: Settings, credentials: Credentials) -> None:
    """Write the (empty) configuration file and provision the application's user if that has not been done."""
    # A file of our own, or the server would pick one up from the user's home directory.
    _own_config(settings).write_text("# every option is on the command line\n")
    stamp = settings.state / "mongodb.users"
    identity = hashlib.sha256(
        f"{credentials.mongodb_user}\n{credentials.mongodb_password}\n{settings.database}".encode()
    )
    if stamp.is_file() and (settings.state / "mongodb").is_dir() and stamp.read_text() == identity.hexdigest():
        return
    provision(settings, credentials)
    stamp.write_text(identity.hexdigest())


def provision(settings: Settings, credentials: Credentials) -> None:
    """Create the application's user while the server listens, without authentication, on a private free port.

    The user may read, write and administer the one database and nothing else.
    """
    port = _free_port()
    log = settings.logs / "mongodb-provision.log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            command(settings, port, False),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            # Marked as part of the stack: `down` finds it, should this process be killed now.
            env={**os.environ, MARKER: settings.marker},
        )
    try:
        client: MongoClient[dict[str, Any]] = MongoClient(
            f"mongodb://127.0.0.1:{port}/?serverMonitoringMode=poll&directConnection=true"
        )
        deadline = time.monotonic() + PROVISION_SECONDS
        while problem(client) is not None:
            if server.poll() is not None or time.monotonic() > deadline:
                raise StackError(f"the MongoDB server does not start (see {log})")
            time.sleep(0.1)
        roles = [{"role": role, "db": settings.database} for role in ("readWrite", "dbAdmin")]
        user = {"pwd": credentials.mongodb_password, "roles": roles}
        try:
            client.admin.command({"createUser": credentials.mongodb_user} | user)
        except OperationFailure as error:
            if error.code != USER_EXISTS:
                raise
            client.admin.command({"updateUser": credentials.mongodb_user} | user)
        client.close()
    except PyMongoError as error:
        raise StackError(f"the MongoDB user cannot be created: {error} (see {log})") from error
    finally:
        server.terminate()
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def problem(client: MongoClient[dict[str, Any]]) -> str | None:
    """Why the server of `client` does not answer an authenticated ping; None when it does."""
    try:
        client.admin.command("ping")
    except PyMongoError as error:
        return str(error)
    return None


def check(uri: str, timeout: float = 3.0) -> str | None:
    """Connect to `uri` and ping, within about `timeout` seconds. Returns the problem without any password, or None."""
    limit = int(timeout * 1000)
    try:
        client: MongoClient[dict[str, Any]] = MongoClient(
            uri, serverSelectionTimeoutMS=limit, connectTimeoutMS=limit, socketTimeoutMS=limit
        )
        with client:
            found = problem(client)
    except (PyMongoError, ValueError) as error:
        found = str(error)
    return shorten(found, uri) if found else None


def shorten(message: str, uri: str) -> str:
    """First clause of a driver's error message, with the login of `uri` removed."""
    text = message.split(", full error:")[0].split(", Timeout:")[0].split(" (configured timeouts")[0]
    login = re.match(r"mongodb(?:\+srv)?://([^@/]*)@", uri)
    for secret in login.group(1).split(":", 1)[1:] if login else ():
        text = text.replace(secret, "***") if secret else text
    return re.sub(r"//[^@/\s]*@", "//***@", " ".join(text.split()))


def require_reachable(uri: str) -> None:
    """Raise StackError, one line without the password, unless the user's own server answers."""
    found = check(uri)
    if found:
        raise StackError(f"MONGODB_URI: {found} (correct it, or unset it to use the embedded server)")


def hosts(uri: str) -> str:
    """host:port[,...] of a valid connection string, for messages."""
    return ",".join(f"{host}:{port}" for host, port in parse_uri(uri)["nodelist"])


def _own_config(settings: Settings) -> Path:
    return settings.run / "mongodb.toml"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
