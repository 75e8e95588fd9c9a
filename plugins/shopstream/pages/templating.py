"""Rendering of the pages' templates."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from shopstream.pages.charts import percent, short

_FOLDER = Path(__file__).parent / "templates"

# Airflow's own choice of light and dark; its page and ours share what the browser stores.
THEME_SCRIPT = (_FOLDER / "theme.js").read_text(encoding="utf-8")

# Colour is never alone: each status has a sign and a word.
SIGNS = {
    "passed": ("✓", "passed"),
    "warning": ("!", "warnings"),
    "failed": ("✕", "failed"),
    "error": ("⚠", "could not be checked"),
    "empty": ("–", "no documents"),
}


def render(template: str, **values: Any) -> str:
    """Render a template; everything in `values` is escaped."""
    return _environment().get_template(template).render(values)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"moment": _moment, "percent": _percent, "short": short, "sign": _sign}
    environment.globals |= {"signs": SIGNS, "theme_script": THEME_SCRIPT, "now": lambda: datetime.now(UTC)}
    return environment


def _moment(value: datetime | None, form: str = "%Y-%m-%d %H:%M") -> str:
    return f"{value:{form}}" if value else "never"


def _percent(value: float | None) -> str:
    return "–" if value is None else percent(value)


def _sign(status: str) -> tuple[str, str]:
    return SIGNS.get(status, ("?", status))
