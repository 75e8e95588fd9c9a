#!/usr/bin/env python3
"""Renews what the documentation repeats from the code: docs/architecture.svg, and the tables in dags.md and
configuration.md. Standard library only.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from drawing.facts import ROOT, collections, components, dags
from drawing.picture import picture
from drawing.source import FactError
from drawing.tables import configuration_table, dag_table, placed
from drawing.variables import variables


def pages(root: Path = ROOT) -> dict[Path, str]:
    """Return every generated file as it should be.

    Raises:
        FactError: The code does not say what a page needs.
    """
    known, found = variables(root), dags(root)
    parts = components({name: one.default for name, one in known.items()}, root)
    docs = root / "docs"
    tables = {
        docs / "dags.md": ("dags", dag_table(found)),
        docs / "configuration.md": ("variables", configuration_table(known)),
    }
    drawn = {path: placed(path.read_text(encoding="utf-8"), *table) for path, table in tables.items()}
    return drawn | {docs / "architecture.svg": picture(found, collections(root), parts)}


def main() -> int:
    """Write what is stale, or with --check only name it. Returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if anything is stale")
    options = parser.parse_args()
    try:
        wanted = pages()
        stale = [path for path, text in wanted.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
        for path in stale if not options.check else ():
            path.write_text(wanted[path], encoding="utf-8")
    except (FactError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    names = ", ".join(str(path.relative_to(ROOT)) for path in stale)
    if options.check and stale:
        print(f"error: {names} is not what the code says (run: python docs/draw.py)", file=sys.stderr)
        return 1
    print(f"written: {names}" if stale else "everything is up to date")
    return 0


if __name__ == "__main__":
    sys.exit(main())
