"""Secrets: generated once, private, never half-written."""

import base64
from dataclasses import asdict
from pathlib import Path
from urllib.parse import quote

import pytest

from embedded import credentials
from embedded.errors import StackError


def test_generated_once_and_for_the_owner_only(tmp_path: Path) -> None:
    assert credentials.read(tmp_path) is None
    first = credentials.read_or_create(tmp_path)
    assert credentials.read_or_create(tmp_path) == first == credentials.read(tmp_path)
    assert credentials.secrets_file(tmp_path).stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["secrets.json"]


def test_all_fit_into_a_connection_string_unchanged() -> None:
    made = credentials.generate()
    assert all(quote(value, safe="=") == value for value in asdict(made).values())
    assert len(base64.urlsafe_b64decode(made.fernet_key)) == 32
    assert len(made.jwt_secret) >= 64
    assert credentials.generate() != made


def test_damaged_file_is_reported_and_kept(tmp_path: Path) -> None:
    credentials.secrets_file(tmp_path).write_text('{"mongodb_user": "x"}')
    with pytest.raises(StackError, match="make reset"):
        credentials.read_or_create(tmp_path)
    assert credentials.secrets_file(tmp_path).read_text() == '{"mongodb_user": "x"}'
