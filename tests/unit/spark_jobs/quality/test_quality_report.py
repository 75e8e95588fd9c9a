"""The pages of a run."""

import os
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from spark_jobs.quality.engine import Engine
from spark_jobs.quality.frames import to_frame
from spark_jobs.quality.outcome import Finding, Outcome
from spark_jobs.quality.report import (
    overview,
    prune,
    publish_docs,
    report_folder,
    without_remote_parts,
    write_overview,
)
from spark_jobs.quality.suites import ExpectationSpec, Suite

REMOTE = re.compile(r"""(?:src|href)=["']https?://|url\(\s*["']?https?://|@import""", re.IGNORECASE)


def _results() -> list[dict[str, Any]]:
    finding = Finding("expect_it:x", "critical", "Do <b>that</b>.", "1 of 2 documents", {}, ["<id>"], ["x=<script>"])
    outcome = Outcome("things", datetime(2019, 11, 1, tzinfo=UTC), 0.5, 2, 2, 3, (finding,))
    broken = Outcome("others", datetime(2019, 11, 1, tzinfo=UTC), error="others.json: there is no such file")
    return [one.document("run", "run/index.html", None) for one in (outcome, broken)]


@pytest.mark.parametrize(
    ("run_id", "name"),
    [
        ("2019-11-01T00:00:00Z", "2019-11-01T00-00-00Z"),
        ("manual__2019-11-01T00:00:00+00:00", "manual__2019-11-01T00-00-00-00-00"),
        ("../../etc/passwd", "etc-passwd"),
        ("..", "run"),
        ("/", "run"),
    ],
)
def test_the_folder_stays_among_the_reports(run_id: str, name: str, tmp_path: Path) -> None:
    folder = report_folder(tmp_path, run_id)
    assert folder == tmp_path / name
    assert folder.resolve().parent == tmp_path.resolve()


def test_overview_shows_findings_and_escapes_what_data_says(tmp_path: Path) -> None:
    page = write_overview(tmp_path / "run", "run <1>", _results())
    html = page.read_text()
    assert "run &lt;1&gt;" in html
    assert "<script" not in html
    assert "&lt;id&gt;" in html
    assert "Do &lt;b&gt;that&lt;/b&gt;." in html
    assert "others.json: there is no such file" in html
    assert not REMOTE.search(html)
    assert not list(tmp_path.rglob("*.partial"))


def test_overview_links_the_data_docs() -> None:
    html = overview("run", _results(), {"things": "data_docs/validations/things/a/b/c.html"})
    assert 'href="data_docs/validations/things/a/b/c.html">things</a>' in html


def test_data_docs_request_nothing_from_elsewhere(tmp_path: Path) -> None:
    engine = Engine(tmp_path / "gx", "test")
    spec = ExpectationSpec("k", "expect_column_values_to_not_be_null", {"column": "_id"}, "critical", "Ids are there.")
    suite = Suite("things", tmp_path / "things.json", "Things.", {"_id": "string"}, {}, (spec,))
    judging = engine.judging(suite)
    judging.batch(to_frame([{"_id": "a"}], suite.columns))
    assert judging.findings() == []
    publish_docs(engine.build_docs(), tmp_path / "run")
    pages = list((tmp_path / "run").rglob("*.html"))
    assert len(pages) >= 3
    for page in pages:
        html = page.read_text()
        assert not REMOTE.search(html), page
        assert "things" in html or "Overview of the run" in html
    html = write_overview(tmp_path / "run", "run", _results()).read_text()
    (link,) = re.findall(r'href="(data_docs/validations/things/[^"]+)"', html)
    assert (tmp_path / "run" / link).is_file()


def test_remote_parts_are_removed_and_the_rest_stays() -> None:
    html = (
        '<head><link rel="stylesheet" href="https://cdn.example/x.css"><script src="https://cdn.example/x.js"></script>'
        "<style>p{} b{background: url('https://x.example/b.png') 0 0}</style></head><body><img src='https://x.example/logo.png'><p>kept</p></body>"
    )
    cleaned = without_remote_parts(html)
    assert "example" not in cleaned
    assert "<style>p{} b{background: none 0 0}</style>" in cleaned
    assert "<p>kept</p>" in cleaned


def test_the_oldest_reports_go(tmp_path: Path) -> None:
    for age, name in enumerate(("newest", "older", "oldest")):
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, (1_000_000 - age, 1_000_000 - age))
    assert prune(tmp_path, 2) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["newest", "older"]
