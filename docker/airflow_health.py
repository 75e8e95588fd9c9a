#!/usr/bin/env python
"""Whether the Airflow process of this container is well, as exit status. Standard library only, so it takes no time.

Asks Airflow's health report, of the API server that the container's configuration names, about the part that runs
here. A container that runs none of the four, such as a migration, is well as long as it lives.
"""

from __future__ import annotations

import json
import os
import sys
import urllib.request
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from urllib.parse import urljoin

# Subcommand of `airflow` -> its part of the health report.
PARTS = {
    "api-server": "metadatabase",
    "scheduler": "scheduler",
    "dag-processor": "dag_processor",
    "triggerer": "triggerer",
}


def role(command: Sequence[str]) -> str | None:
    """The part of Airflow that a command line starts, or None."""
    words = [word for argument in command for word in argument.split()]
    return next((after for word, after in pairwise(words) if word == "airflow" and after in PARTS), None)


def report_url(part: str, environ: Mapping[str, str]) -> str:
    """Where the health report is: the API server answers for itself, all others ask the one they work with."""
    own = f"http://localhost:{environ.get('AIRFLOW__API__PORT') or 8080}/"
    shared = environ.get("AIRFLOW__CORE__EXECUTION_API_SERVER_URL") or own
    return urljoin(own if part == "api-server" else shared, "/api/v2/monitor/health")


def problem(part: str, report: Mapping[str, Mapping[str, object]]) -> str | None:
    """What `report` says against `part`; None when it is well."""
    status = report.get(PARTS[part], {}).get("status")
    return None if status == "healthy" else f"{part}: {status or 'no heartbeat'}"


def main() -> int:
    """Judge the container by its first process; returns the exit status."""
    command = Path("/proc/1/cmdline").read_text(errors="replace").split("\0")
    part = role(command)
    if part is None:
        return 0
    # Never through a proxy that the environment may name.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(report_url(part, os.environ), timeout=5) as response:
            found = problem(part, json.load(response))
    except (OSError, ValueError) as error:
        found = f"{part}: no health report ({error})"
    if found:
        print(f"error: {found}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
