"""Where the pages of the Data Quality section are."""

from __future__ import annotations

from urllib.parse import quote, urlsplit

from airflow.sdk.configuration import conf

# Path of the pages themselves, and of their place in Airflow's UI: it shows them in a frame, and follows their address.
PREFIX = "/quality"
ROUTE = "data-quality"


def root_path() -> str:
    """Return the path below which Airflow is served, without a slash at its end; mostly nothing."""
    return urlsplit(_base_url()).path.rstrip("/")


def run_page(run_id: str) -> str:
    """Return the address of the page about a run of `data_quality`, inside Airflow's UI.

    Args:
        run_id: As `data_quality_results` has it.
    """
    base = _base_url().rstrip("/")
    return f"{base}/plugin/{ROUTE}{root_path()}{PREFIX}/run?id={quote(run_id, safe='')}"


def _base_url() -> str:
    return str(conf.get("api", "base_url", fallback="") or "http://localhost:8080")
