"""The pages in Airflow's own API server: who may read them, what they show, what they never show."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient
from quality_results import StoreInMemory, failure, result

PATHS = [
    "",
    "?span=month",
    "run?id=r1",
    "run",
    "collection?name=products",
    "expectation?collection=products&key=price",
    "docs?run=r1&collection=products",
    "docs/page?run=r1&collection=products",
    "style.css",
]
READABLE = [path for path in PATHS if path not in ("run", "style.css")]
PASSWORDS = {"ada": "of-ada", "vera": "of-vera"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """Airflow with its own login and the plugin, on an empty metadata database; results are in memory."""
    folder = tmp_path_factory.mktemp("api-server")
    (folder / "passwords.json").write_text(json.dumps(PASSWORDS))
    page = folder / "reports/quality/r1/data_docs/validations/products/r1/t/mongodb-products.html"
    page.parent.mkdir(parents=True)
    page.write_text("<html><head></head><body>of Great Expectations</body></html>")
    (folder / "reports/secret.html").write_text("secret")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS", "ada:admin,vera:viewer")
        patch.setenv("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE", str(folder / "passwords.json"))
        patch.setenv("AIRFLOW__API_AUTH__JWT_SECRET", "only-for-this-test-" * 4)
        patch.setenv("MONGODB_URI", "mongodb://127.0.0.1:1/none")
        patch.setenv("SHOPSTREAM_DATA_DIR", str(folder))

        from airflow import settings
        from airflow.api_fastapi.app import create_app, purge_cached_app
        from airflow.models import import_all_models
        from airflow.models.base import Base

        import_all_models()  # type: ignore[no-untyped-call]  # Airflow's own
        Base.metadata.create_all(settings.engine)

        from shopstream.pages import app as pages

        pages.config.cache_clear()
        patch.setattr(
            pages,
            "store",
            lambda: StoreInMemory(
                result("products", 1, "r1", "failed", failures=[failure("price")]),
                result("users", 1, "r1"),
                result("reconciliation", 1, "r1", "error"),
            ),
        )
        purge_cached_app()
        # Without its context: nothing here needs what the server starts beside itself.
        yield TestClient(create_app(apps="core"), base_url="http://127.0.0.1")
        purge_cached_app()
        pages.config.cache_clear()


def token(server: TestClient, user: str) -> str:
    answer = server.post("/auth/token", json={"username": user, "password": PASSWORDS[user]})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["access_token"])


@pytest.fixture(scope="module")
def viewer(server: TestClient) -> dict[str, str]:
    """A viewer's login, as the browser sends it: in the cookie."""
    return {"Cookie": f"_token={token(server, 'vera')}"}


@pytest.mark.parametrize("path", [*PATHS, "docs/page?run=..&collection=products"])
@pytest.mark.parametrize("headers", [{}, {"Cookie": "_token=made.up.token"}, {"Authorization": "Bearer made.up.token"}])
def test_strangers_get_nothing(server: TestClient, path: str, headers: dict[str, str]) -> None:
    answer = server.get(f"/quality/{path}", headers=headers)
    assert answer.status_code in (401, 403, 404)
    assert answer.status_code != 404 or path == "style.css"
    assert "products" not in answer.text
    assert "Great Expectations" not in answer.text


@pytest.mark.parametrize("path", READABLE)
def test_a_viewer_reads_every_page(server: TestClient, viewer: dict[str, str], path: str) -> None:
    answer = server.get(f"/quality/{path}", headers=viewer)
    assert answer.status_code == 200, answer.text
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert re.search(r"https?:", policy) is None
    assert answer.headers["cache-control"] == "no-store"
    assert re.findall(r"""(?:src|href)=["'](?:https?:)?//[^"']*""", answer.text) == []


def test_what_events_bring_along_is_text(server: TestClient, viewer: dict[str, str]) -> None:
    answer = server.get("/quality/run", params={"id": "r1"}, headers=viewer)
    assert "&lt;script&gt;alert(1)" in answer.text
    assert "<script>alert" not in answer.text
    answer = server.get("/quality/run", params={"id": "<script>alert(2)</script>"}, headers=viewer)
    assert answer.status_code == 404
    assert "<script>alert" not in answer.text


def test_a_run_tells_its_findings(server: TestClient, viewer: dict[str, str]) -> None:
    text = server.get("/quality/run", params={"id": "r1"}, headers=viewer).text
    for told in ("5 of 1,000 documents (0.5 %)", "Prices are not negative.", "price=-1.0", "connection refused"):
        assert told in text
    assert 'href="/quality/docs?run=r1&amp;collection=products"' in text
    assert "collection=users" not in text, "there are no Data Docs of it"


@pytest.mark.parametrize(
    "query",
    [
        {"run": "..", "collection": "products"},
        {"run": "../..", "collection": "secret"},
        {"run": "r1", "collection": "../../secret"},
        {"run": "/etc", "collection": "passwd"},
        {"run": "r1%2f..%2f..", "collection": "secret"},
        {"run": "x" * 5000, "collection": "products"},
    ],
)
@pytest.mark.parametrize("path", ["docs", "docs/page"])
def test_nobody_leaves_the_reports_folder(
    server: TestClient, viewer: dict[str, str], path: str, query: dict[str, str]
) -> None:
    answer = server.get(f"/quality/{path}", params=query, headers=viewer)
    assert answer.status_code in (404, 422)
    assert ">secret<" not in answer.text


@pytest.mark.parametrize(
    "path", ["../secret.html", "..%2fsecret.html", "docs/../../secret.html", "docs/%2e%2e/secret.html"]
)
def test_no_address_is_a_path_to_a_file(server: TestClient, viewer: dict[str, str], path: str) -> None:
    answer = server.get(f"/quality/{path}", headers=viewer)
    assert answer.text != "secret"


def test_a_run_of_the_quality_dag_leads_to_its_page(server: TestClient, viewer: dict[str, str]) -> None:
    query = {"dag_id": "data_quality", "run_id": "manual__2026-03-01T12:00:00+00:00"}
    answer = server.get("/quality/", params=query, headers=viewer, follow_redirects=False)
    assert answer.status_code == 307
    assert answer.headers["location"] == "/quality/run?id=manual__2026-03-01T12_00_00_00_00"


def test_the_ui_knows_the_section(server: TestClient, viewer: dict[str, str]) -> None:
    plugins = server.get("/api/v2/plugins", headers={"Authorization": f"Bearer {token(server, 'ada')}"}).json()[
        "plugins"
    ]
    (ours,) = (plugin for plugin in plugins if plugin["name"] == "shopstream")
    assert {(view["destination"], view["url_route"]) for view in ours["external_views"]} == {
        ("nav", "data-quality"),
        ("dag", "data-quality-dag"),
        ("dag_run", "data-quality-run"),
    }


def test_no_database_is_said_and_not_thrown(
    server: TestClient, viewer: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from shopstream.pages import app as pages
    from shopstream.pages.results import ResultStore

    monkeypatch.setattr("shopstream.mongo.WAIT_MILLISECONDS", 200)
    monkeypatch.setattr(pages, "store", lambda: ResultStore(pages.config()))
    answer = server.get("/quality/", headers=viewer)
    assert answer.status_code == 503
    assert "MongoDB at MONGODB_URI" in answer.text
