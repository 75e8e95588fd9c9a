"""Data Docs: found only where they are, and complete without internet."""

import re
from pathlib import Path

import pytest

from shopstream.pages import docs

REMOTE = re.compile(r"""(?:href|src)\s*=\s*["']?(?:https?:)?//|url\(\s*["']?(?:https?:)?//|@import""", re.IGNORECASE)
# The head of a page as Great Expectations renders it.
PAGE = """<!DOCTYPE html>
<html>
  <head>
    <title>Data documentation compiled by Great Expectations</title>
    <link rel="stylesheet" href="https://unpkg.com/bootstrap-table@1.19.1/dist/bootstrap-table.min.css">
    <link rel="stylesheet" type="text/css" href='//maxcdn.bootstrapcdn.com/bootstrap/4.3.1/css/bootstrap.min.css'/>
    <style>.ge { color: black } @media (prefers-color-scheme: dark) { .ge { color: white } }</style>
    <script src="https://cdn.jsdelivr.net/npm/vega@5"></script>
    <script src="https://code.jquery.com/jquery-3.7.1.min.js"
      integrity="sha384-x" crossorigin="anonymous"></script>
    <style id="plain">body { max-width: 72rem }</style></head>
  <body><img src="https://elsewhere.example/logo.png"><i class="fas fa-times"></i><p>price</p></body>
</html>
"""


@pytest.fixture
def reports(tmp_path: Path) -> Path:
    page = tmp_path / "quality/run-1/data_docs/validations/products/run-1/20260301T120000Z/mongodb-products.html"
    page.parent.mkdir(parents=True)
    page.write_text(PAGE)
    secret = tmp_path / "secrets/validations/products/secret.html"
    secret.parent.mkdir(parents=True)
    secret.write_text("secret")
    return tmp_path / "quality"


def test_the_page_of_a_collection_is_found(reports: Path) -> None:
    found = docs.find_page(reports, "run-1", "products")
    assert found is not None
    assert found.name == "mongodb-products.html"
    assert docs.find_page(reports, "run-1", "users") is None
    assert docs.find_page(reports, "run-2", "products") is None


@pytest.mark.parametrize(
    ("run_id", "collection"),
    [
        ("../secrets", "products"),
        ("..", "products"),
        (".", "products"),
        ("", "products"),
        ("/", "products"),
        ("run-1/../../secrets", "products"),
        ("..\\secrets", "products"),
        ("run-1\x00", "../products"),
        ("run-1", "../../../../secrets/validations/products"),
        ("run-1", "*"),
        ("run-1", "**"),
        ("run-1", "prod?cts"),
        ("run-1", ""),
    ],
)
def test_nothing_else_is_found(reports: Path, run_id: str, collection: str) -> None:
    assert docs.find_page(reports, run_id, collection) is None


def test_links_out_of_the_folder_are_not_followed(reports: Path) -> None:
    (reports / "linked").symlink_to(reports.parent / "secrets")
    (reports / "run-1/data_docs/validations/users").symlink_to(reports.parent / "secrets/validations/products")
    assert docs.find_page(reports, "linked", "products") is None
    assert docs.find_page(reports, "run-1", "users") is None


def test_a_page_has_its_libraries_inside_and_loads_nothing() -> None:
    html = docs.complete(PAGE)
    markup = re.sub(r"<script>.*?</script>", "", html, flags=re.DOTALL)
    assert REMOTE.search(PAGE)
    assert REMOTE.search(markup) is None
    assert set(re.findall(r"url\((\w+):", markup)) == {"data"}
    for library in ("Bootstrap v4.", "jQuery v3.", "Font Awesome Free 6."):
        assert library in html
    assert html.count("</script>") == 2
    assert "max-width: 72rem" not in html
    assert "@media not all { .ge { color: white } }" in html
    # The page's own style comes last, as it does with the libraries it was written for.
    assert html.index("Bootstrap v4.") < html.index(".ge { color: black }")


def test_charts_bring_their_library() -> None:
    assert len(docs.complete(PAGE)) < len(docs.complete(PAGE + "<script>vegaEmbed('#x', {})</script>")) - 500_000


def test_what_is_inside_ends_where_it_should() -> None:
    assert docs._inline("a('</script>')") == "<script>a('<\\/script>')</script>"
    # After this, a browser would look for the end of the script in another way.
    assert "<!--" not in docs._scripts() + docs._vega()
    assert "sandbox allow-scripts;" in docs.POLICY
    assert "allow-same-origin" not in docs.POLICY
