"""Installs the parts, one after the other. Doing it again changes what has changed."""

from __future__ import annotations

import json
from collections.abc import Callable, Container, Sequence
from pathlib import Path

from deploy.credentials import complete
from deploy.objects import Document, render
from deploy.parts import Chart, Part
from deploy.settings import VALUES, Settings
from deploy.tools import FIELD_MANAGER, Object, ToolError, Tools

# A namespace that every cluster has: objects are checked in it as long as the platform's own does not exist.
STAND_IN = "default"

# Changes of people and controllers to fields that our files set are taken back; all other fields stay theirs.
_APPLY = ("apply", "--server-side", "--force-conflicts", f"--field-manager={FIELD_MANAGER}", "--filename=-")


class Deployment:
    """One run.

    Args:
        tools: To run kubectl and helm.
        settings: What is deployed where.
        dry_run: Change nothing; have the cluster check what would be done.
    """

    def __init__(self, tools: Tools, settings: Settings, dry_run: bool) -> None:
        self._tools = tools
        self._settings = settings
        self._dry_run = dry_run
        self._unchecked: list[str] = []
        self._stand_in = False

    def run(self, parts: Sequence[Part], left_out: Container[str]) -> list[str]:
        """Install the parts.

        Args:
            parts: In this order.
            left_out: Names of parts that the platform does without.

        Returns:
            What a dry run could not check, a line each.

        Raises:
            DeployError: A part could not be installed; those before it are.
        """
        for number, part in enumerate(parts, 1):
            print(f"[{number}/{len(parts)}] {part.name}: {part.what}", flush=True)
            if part.secrets:
                self._secrets(left_out)
            if not self._dry_run:
                # What cannot be changed is made anew.
                for name in part.redone:
                    self._tools.kubectl("delete", name, "--namespace", self._settings.namespace, "--ignore-not-found")
            if part.chart:
                self._chart(part.name, part.chart)
            if part.files:
                self._objects(part)
            if not self._dry_run:
                for wait in part.waits:
                    arguments = [*wait.arguments, "--namespace", self._settings.namespace]
                    self._tools.wait(wait.what, wait.seconds, arguments, self._pods_of(self._settings.namespace))
        return self._unchecked

    def _secrets(self, left_out: Container[str]) -> None:
        if not self._dry_run and "monitoring" not in left_out:
            self._namespace("monitoring")
        for line in complete(self._tools, self._settings, left_out, self._dry_run):
            print(f"  {line}", flush=True)

    def _namespace(self, name: str) -> None:
        """Make a namespace unless it exists."""
        if self._tools.get("namespace", name) is None:
            self._tools.kubectl("create", "namespace", name)

    def _objects(self, part: Part) -> None:
        documents = render(self._tools, self._settings, part.files)
        if self._dry_run:
            self._check(part, documents)
            return
        done = self._tools.kubectl(*_APPLY, given="---\n".join(document.text for document in documents))
        print(f"  {len(done.splitlines())} objects are as they should be", flush=True)

    def _check(self, part: Part, documents: Sequence[Document]) -> None:
        """Have the server check objects: with their defaults, its admission, and against those that exist."""
        known = self._kinds()
        # Jobs that exist are deleted before they are made again: as a change of them this would be refused.
        documents = [one for one in documents if not (one.path in part.redone and self._exists(one))]
        unknown = [one for one in documents if (one.api_version, one.kind) not in known]
        if self._tools.get("namespace", self._settings.namespace) is None:
            names = {(one.kind, one.name) for one in unknown}
            documents = render(self._tools, self._settings, part.files, namespace=STAND_IN)
            unknown = [one for one in documents if (one.kind, one.name) in names]
            if not self._stand_in:
                print(f"  namespace {self._settings.namespace} is not there: checked in {STAND_IN}", flush=True)
            self._stand_in = True
        checked = [one for one in documents if one not in unknown]
        if checked:
            given = "---\n".join(one.text for one in checked)
            self._tools.kubectl(*_APPLY, "--dry-run=server", given=given)
        print(f"  {len(checked)} objects would be applied, the server finds no fault", flush=True)
        if unknown:
            kinds = ", ".join(sorted({one.kind for one in unknown}))
            self._unchecked.append(
                f"{part.name}: {len(unknown)} objects only read, the cluster does not know {kinds} yet"
            )

    def _exists(self, document: Document) -> bool:
        return self._tools.get(document.path, "--namespace", self._settings.namespace) is not None

    def _kinds(self) -> set[tuple[str, str]]:
        """Return `(apiVersion, kind)` of everything that the cluster knows."""
        rows = [row.split() for row in self._tools.kubectl("api-resources", "--no-headers").splitlines()]
        return {(row[-3], row[-1]) for row in rows if len(row) >= 4}

    def _chart(self, name: str, chart: Chart) -> None:
        namespace = chart.namespace or self._settings.namespace
        options = ["--namespace", namespace, "--values", str(VALUES / f"{name}.yaml")]
        for option in chart.options(self._settings):
            # Text, whatever it looks like: a tag may be a number.
            options += ["--set-string", option]
        source = self._source(chart)
        if self._dry_run:
            self._render(name, chart, [*source, *options])
            return
        what = f"chart {chart.name} {chart.version} as {namespace}/{chart.release}"
        arguments = [chart.release, *source, *options, "--create-namespace"]
        self._tools.install(what, chart.seconds, arguments, self._pods_of(namespace))

    def _render(self, name: str, chart: Chart, arguments: Sequence[str]) -> None:
        """Have helm check the values against the chart's schema, and its templates with them."""
        server = json.loads(self._tools.kubectl("version", "--output=json"))["serverVersion"]["gitVersion"]
        try:
            text = self._tools.helm("template", chart.release, *arguments, "--kube-version", server)
        except ToolError as error:
            if not _unreachable(str(error)):
                raise
            self._unchecked.append(f"{name}: values only read, chart {chart.name} {chart.version} cannot be fetched")
            print(f"  NOT CHECKED, the chart cannot be fetched: {error}", flush=True)
            return
        print(f"  chart {chart.name} {chart.version}: {text.count('kind: ')} objects would be installed", flush=True)

    def _source(self, chart: Chart) -> list[str]:
        """Return where helm finds the chart: in the folder of archives, else in its repository."""
        if self._settings.charts is None:
            return [chart.name, "--repo", chart.repository, "--version", chart.version]
        archive = self._settings.charts / f"{chart.name}-{chart.version}.tgz"
        if not archive.is_file():
            raise ToolError(f"CHARTS={self._settings.charts} has no {archive.name} (helm pull makes it)")
        return [str(Path(archive).resolve())]

    def _pods_of(self, namespace: str) -> Callable[[], str]:
        """Return what says which pods of a namespace are not ready."""

        def state() -> str:
            found = self._tools.get("pods", "--namespace", namespace)
            return waiting((found or {}).get("items", []))

        return state


def waiting(pods: Sequence[Object]) -> str:
    """Say which pods are not ready, the first four with what they wait for."""
    found = [
        f"{pod['metadata']['name']} {_state(pod)}"
        for pod in pods
        if pod["status"].get("phase") != "Succeeded" and not _is_ready(pod)
    ]
    return f"not ready: {', '.join(found[:4]) or 'no pod'}{' ...' if len(found) > 4 else ''}"


def _is_ready(pod: Object) -> bool:
    conditions = pod["status"].get("conditions", [])
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def _state(pod: Object) -> str:
    """Return what a pod waits for, in one word where there is one."""
    status = pod["status"]
    for container in [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]:
        reason = container["state"].get("waiting", {}).get("reason")
        if reason and reason != "PodInitializing":
            return str(reason)
    return str(status.get("phase", "?"))


def _unreachable(complaint: str) -> bool:
    """Whether helm could not reach a repository, as opposed to not liking what it found there."""
    words = ("cannot be reached", "no such host", "failed to fetch", "dial tcp", "proxyconnect", "timeout", "x509")
    return any(word in complaint for word in words)
