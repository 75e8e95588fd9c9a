"""Great Expectations' Data Docs, complete without internet.

A page of the Data Docs loads Bootstrap, jQuery, Font Awesome and Vega from elsewhere; the job that writes the page
leaves that out. Here they are put back from Python packages, into the page itself. So it can be served in a sandbox
that may request nothing at all and has no part in Airflow's login: it shows values of events, which anybody can send.
"""

from __future__ import annotations

import base64
import re
from functools import cache
from importlib.resources import files
from pathlib import Path

# Scripts and styles in the page only. Vega compiles its expressions, which counts as evaluation of text.
POLICY = (
    "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; "
    "font-src data:; img-src data:; form-action 'none'; base-uri 'none'; frame-ancestors 'self'"
)

_REMOTE = re.compile(
    r"""<link\b[^>]*\bhref\s*=\s*["']?(?:https?:)?//[^>]*>"""
    r"""|<script\b[^>]*\bsrc\s*=\s*["']?(?:https?:)?//[^>]*>\s*</script>"""
    r"""|<img\b[^>]*\bsrc\s*=\s*["']?(?:https?:)?//[^>]*>""",
    re.IGNORECASE,
)
# What makes a page readable that is opened as a file; see `spark_jobs.quality.report`.
_PLAIN_STYLE = re.compile(r"""<style id="plain">.*?</style>""", re.DOTALL)
_FONT = re.compile(r"url\(\.\./webfonts/([\w-]+)\.(woff2|ttf)\)")

# Half of what makes a page dark is in a library that the page would load, the other half in the page itself.
_DARK = re.compile(r"@media\s*\(\s*prefers-color-scheme\s*:\s*dark\s*\)")

# Links of the Data Docs lead to their other pages, which the section around them offers by itself.
_FITTING = """<style>
nav.navbar.sticky-top { display: none !important; }
a[href$=".html"] { pointer-events: none; color: inherit; }
body { background: #fff; }
body > .container-fluid { padding: 1.5rem 2rem !important; }
</style>"""


def find_page(reports: Path, run_id: str, collection: str) -> Path | None:
    """Return the page about a collection among the Data Docs of a run; None where there is none.

    Args:
        reports: Folder of all runs' pages.
        run_id: As stored in `data_quality_results`; anything may come from an address.
        collection: Likewise.
    """
    # As `spark_jobs.quality.report.report_folder` makes it: nothing that has a meaning in a path is left.
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", run_id).strip(".-")
    if not name or not re.fullmatch(r"[A-Za-z0-9_-]{1,120}", collection):
        return None
    folder = (reports / name).resolve()
    if not folder.is_relative_to(reports.resolve()):
        return None
    pages = [
        page for page in folder.rglob(f"validations/{collection}/**/*.html") if page.resolve().is_relative_to(folder)
    ]
    return max(pages, key=lambda page: page.stat().st_mtime, default=None)


def complete(html: str) -> str:
    """Return a page of the Data Docs with all its libraries inside, and without anything to load.

    Args:
        html: As Great Expectations wrote it, or without the links to its libraries.
    """
    local = _DARK.sub("@media not all", _PLAIN_STYLE.sub("", _REMOTE.sub("", html)))
    head, found, rest = local.partition("<head>")
    parts = [_styles(), _scripts(), _vega() if "vegaEmbed(" in local else ""]
    return f"{head}{found}{''.join(parts)}{rest}".replace("</head>", f"{_FITTING}</head>", 1)


@cache
def _styles() -> str:
    sheets = (_read("xstatic.pkg.bootstrap", "data/css/bootstrap.min.css"), _icons())
    return "".join(f"<style>{sheet}</style>" for sheet in sheets)


@cache
def _scripts() -> str:
    return _inline(
        _read("xstatic.pkg.jquery", "data/jquery.min.js"),
        _read("xstatic.pkg.bootstrap", "data/js/bootstrap.bundle.min.js"),
    )


@cache
def _vega() -> str:
    folder = "static/js_lib_vega_embed"
    names = ("vega5.js", "vega-lite5.js", "vega-embed6.js")
    return _inline(*(_read("js_lib_vega_embed", f"{folder}/{name}") for name in names))


def _inline(*scripts: str) -> str:
    # A script ends at the first closing tag, wherever that is; within its strings this means the same.
    return "".join("<script>" + script.replace("</script", "<\\/script") + "</script>" for script in scripts)


def _icons() -> str:
    package = "xstatic.pkg.font_awesome"
    # Not the sheet of everything: it would have brands, too, and each font three times, under its older names.
    sheets = ("fontawesome", "solid", "regular")

    def font(found: re.Match[str]) -> str:
        name, kind = found.groups()
        if kind != "woff2":
            return "url(data:,)"
        content = files(package).joinpath(f"data/webfonts/{name}.woff2").read_bytes()
        return f"url(data:font/woff2;base64,{base64.b64encode(content).decode()})"

    return "".join(_FONT.sub(font, _read(package, f"data/css/{sheet}.min.css")) for sheet in sheets)


def _read(package: str, path: str) -> str:
    return files(package).joinpath(path).read_text(encoding="utf-8")
