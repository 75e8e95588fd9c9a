"""What the pages say exists: links, commands, variables, DAGs, collections, fields."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest
from drawing.facts import ROOT as REPOSITORY
from drawing.facts import collections, dags
from drawing.source import texts
from drawing.variables import variables

PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
COLLECTIONS = (REPOSITORY / "docs/collections.md").read_text()
SUITES = sorted((REPOSITORY / "expectations").glob("*.json"))


every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def anchors(page: Path) -> set[str]:
    """Anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def between(first: str, last: str) -> str:
    """The part of docs/development.md between two headings."""
    return (REPOSITORY / "docs/development.md").read_text().partition(first)[2].partition(last)[0]


def section(name: str) -> str:
    """The text of one collection's section."""
    match = re.search(rf"^### {name}\n(.*?)(?=^##|\Z)", COLLECTIONS, re.MULTILINE | re.DOTALL)
    assert match, f"docs/collections.md has no section {name}"
    return match[1]


@every_page
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), target


@every_page
def test_pages_name_no_host(page: Path) -> None:
    text = page.read_text()
    assert not [url for url in re.findall(r"https?://\S+", text) if not url.startswith("http://127.0.0.1")]
    assert not re.findall(r"(?<![\w.`}/])/(?:home|root|tmp|work|opt)/", text)


@every_page
def test_commands_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):.*## ", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:`|^|\(|`)make (?:-s )?([a-z][a-z-]*)", page.read_text(), re.MULTILINE))
    assert named <= targets


def test_lanes_are_those_of_the_test_command() -> None:
    lanes = re.findall(r"^([a-z]+)\(\) \{$", (REPOSITORY / "tests/run").read_text(), re.MULTILINE)
    assert set(re.findall(r"^\| `([a-z]+)` \|", between("## Tests", "## Rules"), re.MULTILINE)) == set(lanes)


@every_page
def test_variables_exist(page: Path) -> None:
    named = set(re.findall(r"\b(?:SHOPSTREAM_[A-Z_]*[A-Z]|MONGODB_URI|KAFKA_BOOTSTRAP_SERVERS)\b", page.read_text()))
    assert named <= set(variables())


@every_page
def test_files_exist(page: Path) -> None:
    for name in re.findall(r"`((?:tests|docs|spark_jobs|embedded|plugins|dags|data)/[\w/.-]+)`", page.read_text()):
        assert (REPOSITORY / name).exists(), name


def test_all_dags_are_described() -> None:
    for page in (PAGES[0], REPOSITORY / "docs/dags.md"):
        assert all(dag.dag_id in page.read_text() for dag in dags())


@pytest.mark.parametrize("collection", [name for group in collections().values() for name in group])
def test_every_collection_has_a_section_with_an_example(collection: str) -> None:
    assert re.search(r"^\*.+\?\*\n\n```python\n", section(collection), re.MULTILINE)


@pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.stem)
def test_every_checked_field_is_described(suite: Path) -> None:
    described = set(re.findall(r"`([\w.]+)`", section(suite.stem)))
    columns = {name.partition(".")[0] for name in json.loads(suite.read_text())["meta"]["columns"]}
    assert columns - {"_id", "as_of", "kind", "metric", "synthetic", suite.stem.removesuffix("s") + "_id"} <= described


def test_examples_are_python_and_ask_for_known_collections() -> None:
    known = {name for group in collections().values() for name in group}
    blocks = re.findall(r"```python\n(.*?)```", COLLECTIONS, re.DOTALL)
    assert len(blocks) > len(known)
    for block in blocks:
        tree = ast.parse(block)
        attributes = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
        asked = [node.attr for node in attributes if isinstance(node.value, ast.Name) and node.value.id == "db"]
        assert set(asked) <= known


def test_reasons_of_dead_letters_are_those_of_the_code() -> None:
    pattern = re.compile(r"(?:bad|future|not)_[a-z_]+")
    coded = {text for text in texts(REPOSITORY / "spark_jobs/streaming/parse.py") if pattern.fullmatch(text)}
    assert coded == {word for word in re.findall(r"`(\w+)`", section("dead_letter_events")) if pattern.fullmatch(word)}


def test_names_of_segments_are_those_of_the_code() -> None:
    named = re.search(r"Names \(([^)]+)\)", section("customer_segments"))
    assert named
    source = texts(REPOSITORY / "spark_jobs/ml/segment_names.py")
    assert set(re.split(r",\s+", named[1])) <= source
