"""The few shapes the picture is made of, as SVG text."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from xml.sax.saxutils import escape

SANS = "system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif"
MONO = "ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace"
INK, FAINT, LINE = "#1f2733", "#5b6675", "#4b5563"

# Widths of a character in units of the font's size, rounded up: fonts differ from machine to machine.
_WIDTH = {SANS: 0.56, MONO: 0.62}


@dataclass(frozen=True)
class Box:
    """A rectangle: left, top, width, height."""

    x: float
    y: float
    width: float
    height: float

    @property
    def right(self) -> float:
        """Its right edge."""
        return self.x + self.width

    @property
    def bottom(self) -> float:
        """Its lower edge."""
        return self.y + self.height

    @property
    def middle(self) -> float:
        """Half-way between left and right."""
        return self.x + self.width / 2


def rectangle(box: Box, fill: str, border: str, dashed: bool = False, radius: int = 8) -> str:
    """Draw a rounded rectangle."""
    dashes = ' stroke-dasharray="5 4"' if dashed else ""
    return (
        f'<rect x="{box.x:g}" y="{box.y:g}" width="{box.width:g}" height="{box.height:g}" rx="{radius}" '
        f'fill="{fill}" stroke="{border}" stroke-width="1.4"{dashes}/>'
    )


def text(
    x: float,
    y: float,
    words: str,
    size: float = 13,
    font: str = SANS,
    fill: str = INK,
    bold: bool = False,
    anchor: str = "start",
) -> str:
    """Write one line; `y` is its base line."""
    weight = ' font-weight="600"' if bold else ""
    return (
        f'<text x="{x:g}" y="{y:g}" font-family="{escape(font)}" font-size="{size:g}" fill="{fill}" '
        f'text-anchor="{anchor}"{weight}>{escape(words)}</text>'
    )


def width_of(words: str, size: float, font: str) -> float:
    """Return the most room a line of text takes."""
    return len(words) * size * _WIDTH[font]


def paragraph(box: Box, y: float, words: str, size: float = 12.5, fill: str = FAINT) -> tuple[str, float]:
    """Write text that wraps at the width of `box`, from the base line `y` on; returns it and the next base line."""
    columns = int((box.width - 24) / (size * _WIDTH[SANS]))
    lines = textwrap.wrap(words, columns)
    step = size * 1.38
    drawn = [text(box.x + 12, y + number * step, line, size, fill=fill) for number, line in enumerate(lines)]
    return "\n".join(drawn), y + len(lines) * step


def arrow(*points: tuple[float, float], label: str = "", at: tuple[float, float] | None = None) -> str:
    """Draw a line through points with a head at its end, and a label that begins at `at`."""
    path = "M" + " L".join(f"{x:g} {y:g}" for x, y in points)
    line = f'<path d="{path}" fill="none" stroke="{LINE}" stroke-width="1.8" marker-end="url(#head)"/>'
    return f"{line}\n{text(*at, label, 12, fill=FAINT)}" if at else line


def document(width: float, height: float, title: str, parts: list[str]) -> str:
    """Return a whole SVG file with a background of its own."""
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" '
        f'height="{height:g}" role="img" aria-label="{escape(title)}">'
    )
    marker = (
        '<defs><marker id="head" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" '
        f'orient="auto-start-reverse"><path d="M0 0 L10 5 L0 10 z" fill="{LINE}"/></marker></defs>'
    )
    ground = f'<rect width="{width:g}" height="{height:g}" rx="14" fill="#fbfcfe"/>'
    note = "<!-- Drawn by docs/draw.py: change that, not this. -->"
    return "\n".join([head, note, f"<title>{escape(title)}</title>", marker, ground, *parts, "</svg>", ""])
