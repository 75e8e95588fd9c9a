"""What docs/draw.py makes is what the code says, and it notices when the code says something else."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest
from draw import pages
from drawing.facts import ROOT as REPOSITORY
from drawing.facts import dags
from drawing.source import FactError
from drawing.svg import MONO, SANS, width_of
from drawing.tables import placed

SVG = "{http://www.w3.org/2000/svg}"
Area = tuple[float, float, float, float]


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def run_draw(root: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", str(root / "docs/draw.py"), *options]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_nothing_is_stale() -> None:
    done = run_draw(REPOSITORY, "--check")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("file", "old", "new", "page"),
    [
        (
            "embedded/config.py",
            '"SHOPSTREAM_AIRFLOW_PORT", 8080',
            '"SHOPSTREAM_AIRFLOW_PORT", 8090',
            "configuration.md",
        ),
        ("plugins/shopstream/config.py", '"*/5 * * * *"', '"*/7 * * * *"', "dags.md"),
        ("dags/replay_events.py", 'description="Replays', 'description="Sends', "architecture.svg"),
        ("embedded/stack.py", "EVENT_PARTITIONS = 3", "EVENT_PARTITIONS = 6", "architecture.svg"),
    ],
)
def test_a_change_of_the_code_is_noticed_and_drawn(copy: Path, file: str, old: str, new: str, page: str) -> None:
    before = pages(copy)
    change(copy / file, old, new)
    assert pages(copy)[copy / "docs" / page] != before[copy / "docs" / page]
    stale = run_draw(copy, "--check")
    assert stale.returncode == 1
    assert stale.stderr.startswith("error: ")
    assert page in stale.stderr
    assert run_draw(copy).returncode == 0
    assert run_draw(copy, "--check").returncode == 0


@pytest.mark.parametrize(
    ("file", "old", "new", "complaint"),
    [
        ("spark_jobs/config.py", '"SHOPSTREAM_TRIGGER_SECONDS"', '"SHOPSTREAM_NEW"', "SHOPSTREAM_NEW, SHOPSTREAM_TRIG"),
        (
            "spark_jobs/config.py",
            'or "customer_events"',
            'or "events"',
            "disagree about .* SHOPSTREAM_TOPIC",
        ),
        ("spark_jobs/quality/suites.py", '"conversion_funnel",', '"conversion_funnel", "new",', "to write new"),
        ("dags/replay_events.py", "description=", "describe=", "no DAG with a schedule and a description"),
        ("embedded/airflow.py", "COMMANDS =", "COMMAND_LINES =", "assigns nothing to COMMANDS"),
    ],
)
def test_what_cannot_be_drawn_is_said(copy: Path, file: str, old: str, new: str, complaint: str) -> None:
    change(copy / file, old, new)
    with pytest.raises(FactError, match=complaint):
        pages(copy)


def test_a_dag_without_a_place_in_the_picture_is_said(copy: Path) -> None:
    (copy / "dags/new.py").write_text('DAG(dag_id="new", description="New", schedule="@daily")\n')
    with pytest.raises(FactError, match="new: no such DAG, or no place"):
        pages(copy)


def test_schedules_in_words_and_in_the_order_of_the_clock(copy: Path) -> None:
    change(copy / "plugins/shopstream/templates.py", '"0 */6 * * *"', '"30 4 * * *"')
    found = {dag.dag_id: dag.when for dag in dags(copy)}
    assert list(found.items()) == [
        ("streaming_lifecycle", "every 5 minutes"),
        ("data_quality", "every hour, and when shopstream_dimensions or shopstream_models is published"),
        ("train_models", "at 30 4 * * * (cron, UTC)"),
        ("replay_events", "by hand"),
        ("seed_dimensions", "by hand"),
    ]


def test_a_page_without_markers_is_said() -> None:
    with pytest.raises(FactError, match="markers of dags"):
        placed("no markers", "dags", "text")


@pytest.fixture(scope="module")
def picture() -> ElementTree.Element:
    return ElementTree.fromstring((REPOSITORY / "docs/architecture.svg").read_text())  # noqa: S314 - our own file


def written(picture: ElementTree.Element) -> list[tuple[str, Area]]:
    """Each text of the picture, and the most room it takes: left, top, right, bottom."""
    found = []
    for node in picture.iter(f"{SVG}text"):
        size, x, y = (float(node.get(name, "0")) for name in ("font-size", "x", "y"))
        words = node.text or ""
        width = width_of(words, size, MONO if "mono" in node.get("font-family", "") else SANS)
        left = x - width if node.get("text-anchor") == "end" else x
        found.append((words, (left, y - size, left + width, y + 2)))
    return found


def rectangles(picture: ElementTree.Element) -> list[Area]:
    found = []
    for node in picture.iter(f"{SVG}rect"):
        x, y, width, height = (float(node.get(name, "0")) for name in ("x", "y", "width", "height"))
        found.append((x, y, x + width, y + height))
    return found


def test_no_text_runs_over_another_or_out_of_its_card(picture: ElementTree.Element) -> None:
    texts, cards = written(picture), rectangles(picture)
    assert len(texts) > 60
    for number, (words, (left, top, right, bottom)) in enumerate(texts):
        around = [card for card in cards if card[0] <= left <= card[2] and card[1] <= bottom <= card[3]]
        smallest = min(around, key=lambda card: (card[2] - card[0]) * (card[3] - card[1]))
        assert right <= smallest[2], f"{words!r} is wider than its card"
        for others, (left2, top2, right2, bottom2) in texts[number + 1 :]:
            apart = right <= left2 or right2 <= left or bottom <= top2 or bottom2 <= top
            assert apart, f"{words!r} and {others!r} overlap"


def test_no_arrow_runs_over_a_text(picture: ElementTree.Element) -> None:
    for path in picture.iter(f"{SVG}path"):
        if not path.get("marker-end"):
            continue
        points = [tuple(map(float, point.split())) for point in path.get("d", "").removeprefix("M").split(" L")]
        for (x1, y1), (x2, y2) in pairwise(points):
            assert x1 == x2 or y1 == y2, "arrows run along the axes"
            for words, (left, top, right, bottom) in written(picture):
                crosses = max(x1, x2) > left and min(x1, x2) < right and max(y1, y2) > top and min(y1, y2) < bottom
                assert not crosses, f"an arrow crosses {words!r}"


def test_the_picture_needs_nothing_from_elsewhere(picture: ElementTree.Element) -> None:
    for node in picture.iter():
        assert node.tag.removeprefix(SVG) in {"svg", "title", "defs", "marker", "rect", "path", "text"}
        assert not any(name.endswith("href") for name in node.attrib)
