"""The pages of a run: an overview of our own, and Great Expectations' Data Docs, both readable without internet."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from spark_jobs.mongo import Document

DATA_DOCS = "data_docs"
OVERVIEW = "index.html"

_TITLE = "Data quality"
_STYLE = """
:root { color-scheme: light dark; --good: #1a7f37; --look: #9a6700; --bad: #cf222e; --dull: #6e7781; --line: #8884; }
@media (prefers-color-scheme: dark) { :root { --good: #3fb950; --look: #d29922; --bad: #f85149; --dull: #8b949e; } }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .35rem .6rem; border-bottom: 1px solid var(--line); vertical-align: top; }
td.figure, th.figure { text-align: right; font-variant-numeric: tabular-nums; }
.wide { overflow-x: auto; }
.passed { color: var(--good); } .warning { color: var(--look); } .failed, .error, .critical { color: var(--bad); }
.empty, .aside { color: var(--dull); }
.passed, .warning, .failed, .error, .critical, .empty { font-weight: 600; }
article { border-left: 3px solid var(--line); padding: .1rem 1rem; margin: 1rem 0; }
code { overflow-wrap: anywhere; }
"""

# What the Data Docs load from elsewhere (and a favicon from where it is not), and the advertisement they end with.
_LOADED = re.compile(
    r"""<link\b[^>]*href=[^>]*>|<script\b[^>]*src=["']https?://[^>]*>\s*</script>|<img\b[^>]*src=["']https?://[^>]*>""",
    re.IGNORECASE,
)
_REMOTE_URL = re.compile(r"""url\(\s*["']?https?://[^)]*\)""", re.IGNORECASE)
_FOOTER = re.compile(r"<footer\b.*?</footer>", re.IGNORECASE | re.DOTALL)
_DOCS_STYLE = """<style id="plain">
body { font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 1rem auto; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; }
td, th { text-align: left; padding: .3rem .6rem; vertical-align: top; }
tr { border-bottom: 1px solid #ccc; } .breadcrumb { padding: 0; list-style: none; } .breadcrumb li { display: inline; }
.breadcrumb li + li::before { content: " / "; } .modal, .cooltip .top { display: none; }
.fa-check-circle::before { content: "\\2714"; color: #1a7f37; } .fa-times::before { content: "\\2718"; color: #cf222e; }
.fa-exclamation-triangle::before { content: "\\26a0"; color: #9a6700; }
</style></head>"""
_TO_OVERVIEW = f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="0; url=../{OVERVIEW}">
<title>{_TITLE}</title></head><body><a href="../{OVERVIEW}">Overview of the run</a></body></html>
"""


def report_folder(reports: Path, run_id: str) -> Path:
    """The folder of a run's pages: the run's id, with every character that has a meaning in paths or URLs replaced."""
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", run_id).strip(".-")
    return reports / (name or "run")


def write_overview(folder: Path, run_id: str, results: Sequence[Mapping[str, Any]]) -> Path:
    """Write the overview of a run.

    Args:
        folder: The run's folder.
        run_id: Shown as title.
        results: Documents of `data_quality_results` of this run.

    Returns:
        The page.
    """
    folder.mkdir(parents=True, exist_ok=True)
    page = folder / OVERVIEW
    partial = page.with_suffix(".partial")
    partial.write_text(overview(run_id, results, _docs_pages(folder)), encoding="utf-8")
    return partial.replace(page)


def overview(run_id: str, results: Sequence[Mapping[str, Any]], pages: Mapping[str, str]) -> str:
    """The overview as HTML.

    Args:
        run_id: Shown as title.
        results: Documents of `data_quality_results`.
        pages: Data Docs page, relative to the overview, by collection.
    """
    rows = "\n".join(_row(result, pages.get(result["collection"])) for result in results)
    details = "\n".join(_details(result) for result in results if result["failures"] or result["error"])
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{_TITLE}: {escape(run_id)}</title><style>{_STYLE}</style></head>
<body><h1>{_TITLE}</h1><p>Run <code>{escape(run_id)}</code></p>
<div class="wide"><table><thead><tr><th>Collection</th><th>Status</th><th class="figure">Documents checked</th>
<th class="figure">of</th><th class="figure">Expectations</th><th class="figure">Critical</th>
<th class="figure">Warnings</th><th class="figure">Seconds</th></tr></thead>
<tbody>
{rows}
</tbody></table></div>
{details}
</body></html>
"""


def publish_docs(site: Path, folder: Path) -> None:
    """Move rendered Data Docs into the run's folder, without anything that would be loaded from the internet.

    Args:
        site: The folder Great Expectations rendered into.
        folder: The run's folder; Data Docs of an earlier attempt are replaced.
    """
    for page in site.rglob("*.html"):
        page.write_text(without_remote_parts(page.read_text(encoding="utf-8")), encoding="utf-8")
    # Their own list of pages needs scripts from elsewhere; ours takes its place. Pictures and fonts nothing refers to
    # would make up four fifths of the folder.
    (site / OVERVIEW).write_text(_TO_OVERVIEW, encoding="utf-8")
    shutil.rmtree(site / "static", ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / DATA_DOCS
    shutil.rmtree(target, ignore_errors=True)
    shutil.move(site, target)


def without_remote_parts(html: str) -> str:
    """A page of the Data Docs that requests nothing, with a plain style instead of the missing ones."""
    local = _REMOTE_URL.sub("none", _LOADED.sub("", _FOOTER.sub("", html)))
    return local.replace("</head>", _DOCS_STYLE, 1)


def prune(reports: Path, keep: int) -> int:
    """Delete the oldest runs' pages beyond `keep`; returns how many runs that were."""
    runs = sorted((run for run in reports.iterdir() if run.is_dir()), key=lambda run: run.stat().st_mtime, reverse=True)
    for run in runs[keep:]:
        shutil.rmtree(run)
    return len(runs[keep:])


def _docs_pages(folder: Path) -> dict[str, str]:
    pages = sorted((folder / DATA_DOCS / "validations").glob("*/*/*/*.html"))
    return {page.relative_to(folder).parts[2]: page.relative_to(folder).as_posix() for page in pages}


def _row(result: Mapping[str, Any], page: str | None) -> str:
    name, status = escape(result["collection"]), escape(result["status"])
    named = f'<a href="{escape(page)}">{name}</a>' if page else name
    aside = f' <span class="aside">{escape(result["message"])}</span>' if result["message"] else ""
    figures = ("checked_documents", "total_documents", "evaluated", "critical", "warnings")
    cells = "".join(f'<td class="figure">{result[figure]:,}</td>' for figure in figures)
    return (
        f'<tr><td>{named}{aside}</td><td class="{status}">{status}</td>{cells}'
        f'<td class="figure">{result["seconds"]:.1f}</td></tr>'
    )


def _details(result: Mapping[str, Any]) -> str:
    error = f'<article><p class="error">{escape(result["error"])}</p></article>' if result["error"] else ""
    return f"<h2>{escape(result['collection'])}</h2>\n{error}" + "\n".join(_failure(one) for one in result["failures"])


def _failure(failure: Document | Mapping[str, Any]) -> str:
    severity = escape(failure["severity"])
    return (
        f'<article><p><span class="{severity}">{severity}</span> <code>{escape(failure["expectation"])}</code><br>'
        f"{escape(failure['observed'])}</p><p>{escape(failure['notes'])}</p>{_offenders(failure)}</article>"
    )


def _offenders(failure: Mapping[str, Any]) -> str:
    pairs: Iterable[tuple[Any, str]] = zip(failure["offending_ids"], failure["offending_values"], strict=False)
    items = "".join(
        f'<li><code>{escape(str(offender))}</code> <span class="aside">{escape(value)}</span></li>'
        for offender, value in pairs
    )
    return f"<ul>{items}</ul>" if items else ""
