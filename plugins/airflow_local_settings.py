"""Airflow's hook for settings that its configuration cannot express. Airflow has this folder on its module path."""

from __future__ import annotations

import warnings

from sqlalchemy import Connection, Engine, event

# Airflow reads `.airflowignore` with a class that its library has renamed, and says so at the top of every task log.
warnings.filterwarnings("ignore", message="GitWildMatchPattern", category=DeprecationWarning)


def begin_before_savepoint(connection: Connection, _name: str) -> None:
    """Have SQLite take its write lock for a savepoint outside of a transaction; other databases need nothing.

    Python begins a transaction in SQLite before the first statement that writes. A savepoint begins one, too, but as a
    reader: if another process writes before the first write of its own, SQLite refuses that at once, whatever the
    time-out (`SQLITE_BUSY_SNAPSHOT`, https://www.sqlite.org/rescode.html#busy_snapshot). `airflow backfill create` sets
    a savepoint for each run, and fails with "database is locked" where the scheduler comes between.

    Args:
        connection: On which SQLAlchemy is about to set the savepoint.
        _name: Of the savepoint.
    """
    if connection.dialect.name != "sqlite":
        return
    # Connections of asyncio do not say; they are left as they are.
    if getattr(connection.connection.dbapi_connection, "in_transaction", True):
        return
    connection.exec_driver_sql("BEGIN IMMEDIATE")


event.listen(Engine, "savepoint", begin_before_savepoint)
