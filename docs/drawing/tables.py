"""Generated tables, and their place in pages: between `<!-- begin NAME -->` and `<!-- end NAME -->`."""

from __future__ import annotations

import re
from collections.abc import Iterable

from drawing.facts import Dag
from drawing.source import FactError
from drawing.variables import MEANINGS, Variable


def dag_table(dags: Iterable[Dag]) -> str:
    """Return one row per DAG, in the order of the clock."""
    rows = ["| DAG | runs | does | jobs | publishes |", "|---|---|---|---|---|"]
    for dag in dags:
        name = f"[`{dag.dag_id}`](../dags/{dag.dag_id}.py)"
        rows.append(f"| {name} | {dag.when} | {dag.description} | {_code(dag.jobs)} | {_code(dag.publishes)} |")
    return "\n".join(rows)


def configuration_table(variables: dict[str, Variable]) -> str:
    """Return one table of environment variables per group of `MEANINGS`."""
    parts = []
    for group, meanings in MEANINGS.items():
        parts += [f"### {group}", "", "| variable | default | meaning | read by |", "|---|---|---|---|"]
        for name, meaning in meanings.items():
            found = variables[name]
            default = f"`{found.default}`" if found.default else ""
            parts.append(f"| `{name}` | {default} | {meaning} | {', '.join(found.readers)} |")
        parts.append("")
    return "\n".join(parts).rstrip()


def placed(page: str, name: str, text: str) -> str:
    """Put `text` between the markers `name` of a page.

    Raises:
        FactError: The page lacks them.
    """
    pattern = re.compile(rf"(<!-- begin {name}\b[^>]*-->\n).*?(\n<!-- end {name} -->)", re.DOTALL)
    if not pattern.search(page):
        raise FactError(f"a page lacks the markers of {name} (restore them)")
    return pattern.sub(lambda match: match[1] + text + match[2], page)


def _code(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
