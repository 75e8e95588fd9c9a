import airflow_for_tests

airflow_for_tests.set_up()

import stat  # noqa: E402
from collections.abc import Callable  # noqa: E402
from pathlib import Path  # noqa: E402

import pytest  # noqa: E402

from shopstream.config import Config  # noqa: E402

URI = "mongodb://shop:s3cret@127.0.0.1:27017/shopstream"


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A complete, valid environment below `tmp_path`."""
    monkeypatch.setenv("MONGODB_URI", URI)
    monkeypatch.setenv("SHOPSTREAM_HOME", str(tmp_path / "home"))
    return monkeypatch


@pytest.fixture
def spark_python(tmp_path: Path, environment: pytest.MonkeyPatch) -> Callable[[str], Config]:
    """Make a script stand in for the Spark environment's Python, called as `SCRIPT -m spark_jobs.jobs.<job> ...`."""

    def install(script: str) -> Config:
        path = tmp_path / "spark-python"
        path.write_text(script)
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        environment.setenv("SHOPSTREAM_SPARK_PYTHON", str(path))
        return Config.from_env()

    return install
