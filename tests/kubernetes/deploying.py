"""`make deploy` and `make deploy-check` as the tests call them, and charts that stand in for those of others."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path

from deploy.parts import PARTS
from tests.kubernetes.cluster import REPOSITORY, Cluster

# A chart of one ConfigMap that holds all of its values.
TEMPLATE = """\
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}-values
data:
  values.json: {{ toJson .Values | quote }}
"""


def run(cluster: Cluster, *arguments: str, kubeconfig: Path | str | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command line of the deployment with the cluster's own kubectl and helm."""
    env = {
        **os.environ,
        "KUBECONFIG": str(kubeconfig or cluster.kubeconfig),
        "PATH": f"{cluster.kubeconfig.parent / 'bin'}:{os.environ['PATH']}",
        "PYTHONPATH": str(REPOSITORY),
    }
    command = [sys.executable, "-m", "deploy", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=env, timeout=300)


def lines(done: subprocess.CompletedProcess[str]) -> dict[str, tuple[str, str]]:
    """What a check printed: status and detail by what was looked at."""
    rows = [line for line in done.stdout.splitlines() if re.match(r"(OK|MISSING|LOOK) ", line)]
    cells = [re.split(r"  +", re.sub(r"^(OK|MISSING|LOOK) +", r"\1  ", row), maxsplit=2) for row in rows]
    return {what: (status, detail) for status, what, detail in cells}


def write_charts(folder: Path) -> Path:
    """Write a chart for each that is fetched from elsewhere; returns the folder."""
    for chart in (part.chart for part in PARTS if part.chart):
        files = {
            "Chart.yaml": f"apiVersion: v2\nname: {chart.name}\nversion: {chart.version}\n",
            "templates/values.yaml": TEMPLATE,
        }
        with tarfile.open(folder / f"{chart.name}-{chart.version}.tgz", "w:gz") as archive:
            for name, text in files.items():
                entry = tarfile.TarInfo(f"{chart.name}/{name}")
                entry.size = len(text)
                archive.addfile(entry, io.BytesIO(text.encode()))
    return folder
