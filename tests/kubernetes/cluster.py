"""The test cluster: started if it does not run, and what tests ask of it.

The kit that makes it is looked for at CLUSTER_KIT, else in `../shared/cluster` beside the repository. A cluster that a
test session has started stays up for the next one; `python -m tests.kubernetes.cluster down` ends it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
KIT = Path(os.environ.get("CLUSTER_KIT") or REPOSITORY.parent / "shared" / "cluster") / "cluster"

POD_SECONDS = 180.0
POLL_SECONDS = 0.5


class ClusterError(Exception):
    """The kit or kubectl refused; the message is its last words."""


@dataclass(frozen=True)
class Finished:
    """How a pod ended: the exit status of its only container, and what that printed."""

    status: int
    output: str


@dataclass(frozen=True)
class Cluster:
    """A cluster that is up; `kubeconfig` is the file by which any client reaches it."""

    kubeconfig: Path

    def kubectl(self, *arguments: str, given: object = None) -> str:
        """Run kubectl and return what it prints.

        Args:
            arguments: Its command line.
            given: An object, or list of objects, handed to it as JSON on standard input (`-f -`).

        Raises:
            ClusterError: It failed.
        """
        return kit("kubectl", *arguments, given=None if given is None else as_list(given))

    def get(self, *arguments: str) -> dict[str, Any]:
        """The object that `kubectl get` finds, as JSON."""
        found: dict[str, Any] = json.loads(self.kubectl("get", "-o", "json", *arguments))
        return found

    def run_pod(self, namespace: str, spec: dict[str, Any], seconds: float = POD_SECONDS) -> Finished:
        """Run a pod of one container to its end, and remove it.

        Args:
            namespace: Where.
            spec: The pod's spec; its restart policy is set to Never.
            seconds: Longest time until its end.

        Raises:
            ClusterError: It did not end in time; the message says what its last state was.
        """
        name = f"pod-{uuid.uuid4().hex[:8]}"
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": namespace, "labels": {"app.kubernetes.io/part-of": "shopstream"}},
            "spec": {"restartPolicy": "Never", "terminationGracePeriodSeconds": 1, **spec},
        }
        self.kubectl("create", "-f", "-", given=pod)
        try:
            status = self._end_of(namespace, name, seconds)
            return Finished(status, self.kubectl("logs", "-n", namespace, name))
        finally:
            self.kubectl("delete", "pod", "-n", namespace, name, "--wait=false")

    def _end_of(self, namespace: str, name: str, seconds: float) -> int:
        """The exit status of a pod's container."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            states = self.get("pod", "-n", namespace, name)["status"].get("containerStatuses", [])
            if states and "terminated" in states[0]["state"]:
                return int(states[0]["state"]["terminated"]["exitCode"])
            time.sleep(POLL_SECONDS)
        events = self.kubectl("events", "-n", namespace, "--for", f"pod/{name}")
        raise ClusterError(f"pod {name} has not ended after {seconds:g} s\n{events}")

    @contextmanager
    def namespace(self, prefix: str) -> Iterator[str]:
        """A namespace with a name of its own, removed with all it holds in the end."""
        name = f"{prefix}-{uuid.uuid4().hex[:6]}"
        self.kubectl("create", "namespace", name)
        try:
            self._await_account(name)
            yield name
        finally:
            self.kubectl("delete", "namespace", name, "--wait=false")

    def _await_account(self, namespace: str) -> None:
        """Wait for the service account that pods without one get; no pod can be made before it exists."""
        self.kubectl("wait", "--for=create", "serviceaccount/default", "-n", namespace, "--timeout=30s")


def kit(*arguments: str, given: object = None) -> str:
    """Run a command of the kit and return its standard output.

    Raises:
        ClusterError: It failed.
    """
    result = subprocess.run(
        ["bash", str(KIT), *arguments],
        input=None if given is None else json.dumps(given),
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        raise ClusterError(f"cluster {' '.join(arguments[:4])}: {result.stderr.strip()[-2000:]}")
    return result.stdout


def as_list(given: object) -> object:
    """One object as it is, several as a Kubernetes List."""
    return {"apiVersion": "v1", "kind": "List", "items": given} if isinstance(given, list) else given


def missing() -> str | None:
    """Why this checkout has no cluster; None when it has the kit, which must then work."""
    return None if KIT.is_file() else f"no cluster kit at {KIT} (CLUSTER_KIT names its folder)"


@cache
def cluster_up() -> Cluster:
    """The cluster, started if it does not run.

    Raises:
        ClusterError: There is none on this machine, or it does not start.
    """
    if reason := missing():
        raise ClusterError(reason)
    if os.geteuid() != 0:
        raise ClusterError("the cluster kit needs root")
    kit("install")
    return Cluster(Path(kit("up").strip().splitlines()[-1]))


def main(arguments: Sequence[str]) -> int:
    """Command line: `up` or `down`; returns the exit status."""
    try:
        if list(arguments) == ["up"]:
            print(cluster_up().kubeconfig)
        elif list(arguments) == ["down"]:
            kit("down")
        else:
            print("usage: python -m tests.kubernetes.cluster up|down", file=sys.stderr)
            return 2
    except ClusterError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
