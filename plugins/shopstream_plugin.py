"""What Shopstream adds to Airflow's UI. Each of Airflow's processes imports this module: it costs next to nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from airflow.plugins_manager import AirflowPlugin

from shopstream.links import PREFIX, ROUTE, root_path

Message = MutableMapping[str, Any]


async def quality_pages(
    scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
) -> None:
    """Hand a request to the pages, which only the API server ever imports."""
    from shopstream.pages.app import app

    await app(scope, receive, send)


class ShopstreamPlugin(AirflowPlugin):
    """The Data Quality section: an entry of the navigation, and a tab on DAGs and their runs."""

    name = "shopstream"
    fastapi_apps = [{"app": quality_pages, "url_prefix": PREFIX, "name": "Data quality"}]  # noqa: RUF012 - as Airflow declares them
    external_views = [  # noqa: RUF012
        {
            "name": "Data quality",
            "href": f"{root_path()}{PREFIX}/",
            "destination": "nav",
            "category": "browse",
            "url_route": ROUTE,
        },
        {
            "name": "Data quality",
            "href": f"{root_path()}{PREFIX}/?dag_id={{DAG_ID}}",
            "destination": "dag",
            "url_route": f"{ROUTE}-dag",
        },
        {
            "name": "Data quality",
            "href": f"{root_path()}{PREFIX}/?dag_id={{DAG_ID}}&run_id={{RUN_ID}}",
            "destination": "dag_run",
            "url_route": f"{ROUTE}-run",
        },
    ]
