"""Functions that DAGs use inside templated fields, and the expressions made from them.

A DAG that uses one passes `user_defined_macros=MACROS`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk.exceptions import AirflowFailException

from shopstream.assets import DIMENSION_COLLECTIONS, DIMENSIONS
from shopstream.config import ConfigError, default_events_file
from shopstream.links import run_page

TRAINING_CRON = "0 */6 * * *"
_TRAINING_INTERVAL = timedelta(hours=6)


def as_of(dag_run: Any, given: str | None) -> str:
    """Return the point in time a training run looks back from, as in `_id`s: `2019-11-01T00:00:00Z`.

    Args:
        dag_run: The run. Scheduled runs, backfills and manual runs with a logical date have a data interval: its end
            counts. A run without one (triggered with `logical_date: null`) counts as triggered at the last six-hour
            boundary.
        given: The run's `as_of` parameter, an ISO 8601 date or time; wins over the run. UTC unless it says otherwise.

    Raises:
        AirflowFailException: `given` is no date or time.
    """
    if given:
        try:
            moment = datetime.fromisoformat(given)
        except ValueError:
            raise AirflowFailException(
                f"as_of={given!r} is no ISO 8601 date or time (example: 2019-11-01T00:00:00Z)"
            ) from None
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    elif dag_run.data_interval_end:
        moment = dag_run.data_interval_end
    else:
        epoch = datetime(1970, 1, 1, tzinfo=UTC)
        moment = dag_run.run_after - (dag_run.run_after - epoch) % _TRAINING_INTERVAL
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def events_file(given: str | None) -> str:
    """Return the events file of a run: its parameter, else SHOPSTREAM_EVENTS.

    Raises:
        AirflowFailException: There is neither.
    """
    if given:
        return given
    try:
        return default_events_file()
    except ConfigError as error:
        raise AirflowFailException(str(error)) from None


def collections_to_check(given: Iterable[str] | None, triggering: Iterable[Any]) -> str:
    """Return the option that says what a run of data_quality checks; nothing for everything.

    Args:
        given: The run's `collections` parameter; wins.
        triggering: The assets that triggered the run. New dimensions alone change nothing but themselves.
    """
    names = given or (DIMENSION_COLLECTIONS if {asset.name for asset in triggering} == {DIMENSIONS.name} else ())
    return f"--collections={','.join(names)}" if names else ""


def safe_id(run_id: str) -> str:
    """Make a run id usable as a file name and in URLs: `manual__2025-01-31T12:00:00+00:00` is neither."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", run_id)


def quality_page(run_id: str) -> str:
    """Return the address of the page about a run of data_quality, given Airflow's id of the run."""
    return run_page(safe_id(run_id))


MACROS: dict[str, Callable[..., str]] = {
    "as_of": as_of,
    "collections_to_check": collections_to_check,
    "events_file": events_file,
    "quality_page": quality_page,
    "safe_id": safe_id,
}

AS_OF = "{{ as_of(dag_run, params.as_of) }}"
EVENTS_FILE = "{{ events_file(params.file) }}"
COLLECTIONS = "{{ collections_to_check(params.collections, triggering_asset_events) }}"
RUN_ID = "{{ safe_id(run_id) }}"
QUALITY_PAGE = "{{ quality_page(run_id) }}"
