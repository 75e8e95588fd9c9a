"""The Secrets of the platform: which there are, and how those are made up that nobody has made.

What exists is never changed: databases were made with it.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

from deploy.errors import DeployError
from deploy.settings import MONITORING_NAMESPACE, Settings
from deploy.tools import FIELD_MANAGER, Tools

MONGODB_MEMBERS = 3

# Values of all Secrets so far, by Secret and key.
Known = Mapping[str, Mapping[str, str]]


def _password(_known: Known) -> str:
    """Letters and digits only: it goes into addresses, scripts and YAML."""
    return secrets.token_hex(24)


def _admin(_known: Known) -> str:
    return "admin"


def _fernet_key(_known: Known) -> str:
    return base64.urlsafe_b64encode(os.urandom(32)).decode()


def _keyfile(_known: Known) -> str:
    """What members of a MongoDB replica set share: 6 to 1024 characters of base64."""
    return base64.b64encode(os.urandom(512)).decode()


def _mongodb_uri(known: Known) -> str:
    hosts = ",".join(f"shopstream-mongodb-{number}.shopstream-mongodb:27017" for number in range(MONGODB_MEMBERS))
    password = quote(known["shopstream-mongodb"]["application-password"], safe="")
    # w=majority: a document that the stream has written is there after the loss of any member.
    options = "replicaSet=shopstream&authSource=shopstream&w=majority&retryWrites=true"
    return f"mongodb://shopstream:{password}@{hosts}/shopstream?{options}"


def _database(known: Known) -> str:
    password = quote(known["shopstream-airflow"]["database-password"], safe="")
    return f"postgresql+psycopg2://airflow:{password}@shopstream-postgres:5432/airflow"


def _logins(_known: Known) -> str:
    return json.dumps({"admin": secrets.token_urlsafe(16), "analyst": secrets.token_urlsafe(16)})


@dataclass(frozen=True)
class Wanted:
    """A Secret.

    Attributes:
        name: Its name.
        keys: How each value is made up. Later ones may build on earlier ones.
        part: The part of the platform that alone needs it; "" where it is needed anyway.
        yours: Keys that you have to give when you leave a part out: key to part.
    """

    name: str
    keys: Mapping[str, Callable[[Known], str]]
    part: str = ""
    yours: Mapping[str, str] = field(default_factory=dict)

    def namespace(self, settings: Settings) -> str:
        """Return where it lives."""
        return MONITORING_NAMESPACE if self.part == "monitoring" else settings.namespace


# In this order: addresses contain passwords.
WANTED = (
    Wanted(
        "shopstream-mongodb",
        {
            "keyfile": _keyfile,
            "root-password": _password,
            "application-password": _password,
            "analyst-password": _password,
            "backup-password": _password,
        },
        part="mongodb",
    ),
    Wanted(
        "shopstream-secrets",
        {"mongodb-uri": _mongodb_uri, "kafka-password": _password},
        yours={"mongodb-uri": "mongodb"},
    ),
    Wanted(
        "shopstream-airflow",
        {
            "database-password": _password,
            "connection": _database,
            "fernet-key": _fernet_key,
            "api-secret-key": _password,
            "jwt-secret": _password,
            "passwords.json": _logins,
        },
        yours={"connection": "database"},
    ),
    Wanted("shopstream-grafana", {"admin-user": _admin, "admin-password": _password}, part="monitoring"),
)


def existing(tools: Tools, settings: Settings, wanted: Wanted) -> dict[str, str] | None:
    """Return the values of a Secret, or None where there is none.

    Raises:
        ToolError: It may not be read.
    """
    found = tools.get("secret", wanted.name, "--namespace", wanted.namespace(settings))
    if found is None:
        return None
    return {key: base64.b64decode(value).decode() for key, value in (found.get("data") or {}).items()}


def complete(tools: Tools, settings: Settings, left_out: Container[str], dry_run: bool) -> list[str]:
    """Make what is missing: Secrets, and keys of those that exist.

    Args:
        tools: To run kubectl.
        settings: The deployment.
        left_out: Parts of the platform that are not installed.
        dry_run: Only say what would be made.

    Returns:
        A line for each Secret, without values.

    Raises:
        DeployError: A key is missing that only you can know.
        ToolError: One may not be read or written.
    """
    known: dict[str, dict[str, str]] = {}
    lines = []
    for wanted in WANTED:
        if wanted.part in left_out:
            continue
        values = known[wanted.name] = existing(tools, settings, wanted) or {}
        new = [key for key in wanted.keys if key not in values]
        for key in new:
            if wanted.yours.get(key) in left_out:
                raise DeployError(
                    f"the key {key} of the Secret {wanted.name} is missing, and without {wanted.yours[key]} nobody can "
                    f"make it up (kubectl --namespace {wanted.namespace(settings)} create secret generic {wanted.name} "
                    f"--from-literal={key}=...)"
                )
            values[key] = wanted.keys[key](known)
        if new and not dry_run:
            _write(tools, wanted.name, wanted.namespace(settings), values)
        what = f"{', '.join(new)} {'would be made' if dry_run else 'made'}" if new else "complete"
        lines.append(f"{wanted.namespace(settings)}/{wanted.name}: {what}")
    return lines


def _write(tools: Tools, name: str, namespace: str, values: Mapping[str, str]) -> None:
    """Write a Secret; through standard input, as a command line is seen by everybody on the machine."""
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {"app.kubernetes.io/part-of": "shopstream"},
        },
        "stringData": dict(values),
    }
    tools.kubectl(
        "apply",
        "--server-side",
        "--force-conflicts",
        f"--field-manager={FIELD_MANAGER}",
        "-f",
        "-",
        given=json.dumps(secret),
    )
