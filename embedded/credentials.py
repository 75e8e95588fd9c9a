"""Passwords and keys of a stack: generated at its first start, kept in state/secrets.json for its owner's eyes only."""

from __future__ import annotations

import base64
import json
import os
import secrets
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from embedded.errors import StackError


class DamagedError(StackError):
    """The kept credentials cannot be read."""


@dataclass(frozen=True)
class Credentials:
    """All secrets; passwords and keys are URL-safe, so they fit into a connection string unchanged."""

    mongodb_user: str
    mongodb_password: str
    airflow_user: str
    airflow_password: str
    fernet_key: str
    api_secret_key: str
    jwt_secret: str


def secrets_file(state: Path) -> Path:
    """Where the credentials are kept."""
    return state / "secrets.json"


def generate() -> Credentials:
    """New random credentials."""
    return Credentials(
        mongodb_user="shopstream",
        mongodb_password=secrets.token_hex(16),
        airflow_user="admin",
        # Typed by people: 16 characters without signs that some keyboards hide.
        airflow_password=secrets.token_hex(8),
        fernet_key=base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        api_secret_key=secrets.token_urlsafe(32),
        # HS512 wants a key of at least 64 bytes.
        jwt_secret=secrets.token_urlsafe(64),
    )


def read(state: Path) -> Credentials | None:
    """The kept credentials, None before the first start.

    Raises:
        DamagedError: the file is damaged.
    """
    path = secrets_file(state)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return Credentials(**{field.name: str(content[field.name]) for field in fields(Credentials)})
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        raise DamagedError(f"{path} is damaged (restore it from a backup, or start over: make reset)") from None


def read_or_create(state: Path) -> Credentials:
    """The kept credentials, generated if there are none yet."""
    known = read(state)
    if known:
        return known
    created = generate()
    draft = _private_draft(secrets_file(state), json.dumps(asdict(created), indent=2) + "\n")
    try:
        os.link(draft, secrets_file(state))
    except FileExistsError:
        pass  # another command was faster: its secrets are the ones in use
    finally:
        draft.unlink()
    return read(state) or created


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    _private_draft(path, text).replace(path)


def _private_draft(path: Path, text: str) -> Path:
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as output:
        output.write(text)
    return draft
