import sqlite3
from pathlib import Path

import airflow_local_settings  # noqa: F401  (what it registers)
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "airflow.db"
    with sqlite3.connect(path) as connection:
        connection.executescript("PRAGMA journal_mode=WAL; CREATE TABLE runs (name TEXT)")
    return path


def create_run(database: Path) -> str:
    """Add a run as a backfill does, while another process adds one; returns what that one got to hear."""
    with Session(create_engine(f"sqlite:///{database}?timeout=60")) as session:
        with session.begin_nested():
            session.execute(text("SELECT name FROM runs")).all()
            answer = "added"
            try:
                with sqlite3.connect(database, timeout=0) as other:
                    other.execute("INSERT INTO runs VALUES ('of the scheduler')")
            except sqlite3.OperationalError as error:
                answer = str(error)
            session.execute(text("INSERT INTO runs VALUES ('of the backfill')"))
        session.commit()
    return answer


def test_sqlite_refuses_a_savepoint_that_was_overtaken(database: Path) -> None:
    """What the module is for."""
    with sqlite3.connect(database, timeout=60) as connection:
        connection.execute("SAVEPOINT run")
        connection.execute("SELECT name FROM runs").fetchall()
        with sqlite3.connect(database) as other:
            other.execute("INSERT INTO runs VALUES ('of the scheduler')")
        with pytest.raises(sqlite3.OperationalError, match="database is locked"):
            connection.execute("INSERT INTO runs VALUES ('of the backfill')")


def test_a_savepoint_is_not_overtaken(database: Path) -> None:
    # The other one has to wait for its turn, and may do so for a minute.
    assert create_run(database) == "database is locked"
    with sqlite3.connect(database) as connection:
        assert connection.execute("SELECT name FROM runs").fetchall() == [("of the backfill",)]


def test_a_savepoint_inside_a_transaction_is_left_alone(database: Path) -> None:
    with Session(create_engine(f"sqlite:///{database}")) as session:
        session.execute(text("INSERT INTO runs VALUES ('first')"))
        with session.begin_nested():
            session.execute(text("INSERT INTO runs VALUES ('second')"))
        session.rollback()
        assert session.execute(text("SELECT count(*) FROM runs")).scalar() == 0
