"""The pages, as an application that Airflow's API server mounts at `PREFIX`.

Every request needs Airflow's login and the right to read the task logs of `data_quality`: pages show what logs show.
"""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.core_api.security import requires_access_dag
from fastapi import Depends, FastAPI, HTTPException, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from shopstream.config import Config, ConfigError
from shopstream.pages import docs, views
from shopstream.pages.results import ResultStore
from shopstream.pages.scope import QUALITY_DAG, written_by
from shopstream.pages.templating import THEME_SCRIPT, render
from shopstream.streaming.errors import StoreError
from shopstream.templates import safe_id

_SCRIPT_HASH = base64.b64encode(hashlib.sha256(THEME_SCRIPT.encode()).digest()).decode()
# Nothing is requested but our own pages; the one script is known by its content.
POLICY = (
    f"default-src 'none'; script-src 'sha256-{_SCRIPT_HASH}'; style-src 'unsafe-inline'; img-src data:; "
    "frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'self'"
)
_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin"}

# Longer texts name no run or expectation of ours.
Text = Annotated[str, Query(max_length=1000)]

app = FastAPI(
    title="Shopstream data quality",
    dependencies=[Depends(requires_access_dag("GET", DagAccessEntity.TASK_LOGS, QUALITY_DAG))],
    openapi_url=None,
)


@cache
def config() -> Config:
    """The environment of this process."""
    return Config.from_env()


@cache
def store() -> ResultStore:
    """The results, by the one client of this process."""
    return ResultStore(config())


@app.get("/")
def overview(request: Request, span: Text = views.RUNS, dag_id: Text = "", run_id: Text = "") -> Response:
    """Collections by time. On the page of a DAG or of its run: those that the DAG writes, or what the run found."""
    if dag_id == QUALITY_DAG and run_id:
        return RedirectResponse(f"{_path(request, 'run')}?id={safe_id(run_id)}")
    collections = written_by(dag_id) if dag_id else ()
    page = views.overview(store(), span, datetime.now(UTC), collections if dag_id else None)
    return _page(request, "overview.html", page | {"dag_id": dag_id})


@app.get("/run")
def run(request: Request, id: Text) -> Response:  # noqa: A002 - the name in the address
    """What one run found."""
    found = views.run(store(), id)
    if found is None:
        raise HTTPException(404, f"no results of a run {id!r}: is it still at work, or did its checks break?")
    pages = {name for name in found["period"].results if docs.find_page(_reports(), id, name)}
    return _page(request, "run.html", found | {"docs": pages})


@app.get("/collection")
def collection(request: Request, name: Text) -> Response:
    """The history of one collection."""
    found = views.collection(store(), name)
    if found is None:
        raise HTTPException(404, f"no results of a collection {name!r}")
    return _page(request, "collection.html", found)


@app.get("/expectation")
def expectation(request: Request, collection: Text, key: Text) -> Response:
    """The history of one expectation."""
    found = views.expectation(store(), collection, key)
    if found is None:
        raise HTTPException(404, f"no results of a collection {collection!r}")
    return _page(request, "expectation.html", found)


@app.get("/docs")
def data_docs(request: Request, run: Text, collection: Text) -> Response:
    """The Data Docs of a collection in a run, with the way back around them."""
    if docs.find_page(_reports(), run, collection) is None:
        raise HTTPException(
            404, f"no Data Docs of {collection!r} in run {run!r}: only those of the newest runs are kept"
        )
    return _page(request, "docs.html", {"run_id": run, "collection": collection})


@app.get("/docs/page")
def data_docs_page(run: Text, collection: Text) -> Response:
    """The page itself, as Great Expectations made it, in a sandbox."""
    page = docs.find_page(_reports(), run, collection)
    if page is None:
        raise HTTPException(404, "no such page")
    html = docs.complete(page.read_text(encoding="utf-8"))
    return HTMLResponse(html, headers=_HEADERS | {"Content-Security-Policy": docs.POLICY})


@app.exception_handler(HTTPException)
def refused(request: Request, error: HTTPException) -> Response:
    """Say what is not there or not allowed, as a page."""
    return _page(request, "message.html", {"message": error.detail}, error.status_code, error.headers)


@app.exception_handler(StoreError)
@app.exception_handler(ConfigError)
def unavailable(request: Request, error: Exception) -> Response:
    """Say that the results cannot be read, and why."""
    return _page(request, "message.html", {"message": str(error)}, 503)


def _reports() -> Path:
    return config().data_dir / "reports" / "quality"


def _path(request: Request, name: str) -> str:
    return f"{request.scope.get('root_path', '').rstrip('/')}/{name}"


def _page(
    request: Request, template: str, values: dict[str, Any], status: int = 200, headers: Any = None
) -> HTMLResponse:
    html = render(template, home=_path(request, ""), **values)
    return HTMLResponse(html, status, {**_HEADERS, "Content-Security-Policy": POLICY, **(headers or {})})
