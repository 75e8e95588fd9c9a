"""A stack in a temporary home, described but never started."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from embedded.config import Settings, read_settings
from embedded.credentials import Credentials

CREDENTIALS = Credentials("shopstream", "dbpass", "admin", "uipass", "fernet", "apikey", "jwtkey")


@pytest.fixture
def environ(tmp_path: Path) -> Mapping[str, str]:
    """Environment of a user with a home of his own, with a space in its name."""
    return {"SHOPSTREAM_HOME": str(tmp_path / "a home"), "SHOPSTREAM_AIRFLOW_PORT": "18080"}


@pytest.fixture
def settings(environ: Mapping[str, str]) -> Settings:
    """Settings of that user."""
    return read_settings(environ)


@pytest.fixture
def secrets() -> Credentials:
    """Fixed credentials."""
    return CREDENTIALS
