"""Our own Kubernetes objects: files of helm-values/, adapted to a deployment by kubectl's kustomize."""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.settings import VALUES, Settings
from deploy.tools import Tools

DASHBOARD = VALUES / "dashboards" / "shopstream.json"
SHARED_CLAIMS = ("shopstream-data", "shopstream-logs")


@dataclass(frozen=True)
class Document:
    """One object as YAML.

    Attributes:
        api_version: Its `apiVersion`.
        kind: Its `kind`.
        name: Its name.
        text: All of it.
    """

    api_version: str
    kind: str
    name: str
    text: str

    @property
    def path(self) -> str:
        """What kubectl calls it: `job/name`."""
        return f"{self.kind.lower()}/{self.name}"


def render(tools: Tools, settings: Settings, files: Sequence[str], namespace: str | None = None) -> list[Document]:
    """Return the objects of some files as they are to be applied.

    Args:
        tools: To run kubectl.
        settings: Namespace, images, volumes.
        files: Files below helm-values/.
        namespace: Another namespace than that of the settings.

    Raises:
        ToolError: A file is no YAML.
    """
    with tempfile.TemporaryDirectory() as folder:
        resources = [os.path.relpath(VALUES / name, Path(folder).resolve()) for name in files]
        overlay = _overlay(settings, resources, namespace or settings.namespace)
        if "manifests/monitoring.yaml" in files:
            overlay |= _dashboard(os.path.relpath(DASHBOARD, Path(folder).resolve()))
        # JSON is YAML.
        (Path(folder) / "kustomization.yaml").write_text(json.dumps(overlay))
        text = tools.kubectl("kustomize", folder, "--load-restrictor=LoadRestrictionsNone")
    return documents(text)


def documents(text: str) -> list[Document]:
    """Split YAML as kustomize and helm print it."""
    parts = [part.strip("\n") + "\n" for part in re.split(r"^---.*$", text, flags=re.MULTILINE)]
    return [
        Document(_field(part, "apiVersion"), _field(part, "kind"), _name(part), part)
        for part in parts
        if _field(part, "kind")
    ]


def _field(text: str, name: str) -> str:
    match = re.search(rf"^{name}: *[\"']?([^\s\"']+)", text, re.MULTILINE)
    return match[1] if match else ""


def _name(text: str) -> str:
    metadata = re.search(r"^metadata:\n((?:[ #].*\n)+)", text, re.MULTILINE)
    match = re.search(r"^  name: *[\"']?([^\s\"']+)", metadata[1], re.MULTILINE) if metadata else None
    return match[1] if match else "?"


def _overlay(settings: Settings, resources: Sequence[str], namespace: str) -> dict[str, Any]:
    claim: list[dict[str, Any]] = [
        {"op": "replace", "path": "/spec/accessModes", "value": [settings.access_mode]},
    ]
    if settings.storage_class:
        claim.append({"op": "add", "path": "/spec/storageClassName", "value": settings.storage_class})
    image = [{"op": "replace", "path": "/data/SHOPSTREAM_SPARK_IMAGE", "value": settings.image("spark")}]
    # kustomize leaves it alone, as it is not one of its references to other objects.
    subject = [{"op": "replace", "path": "/subjects/0/namespace", "value": namespace}]
    return {
        "resources": list(resources),
        "namespace": namespace,
        "patches": [
            _patch(claim, "PersistentVolumeClaim", "|".join(SHARED_CLAIMS)),
            _patch(image, "ConfigMap", "shopstream-config"),
            _patch(subject, "RoleBinding", ".*"),
        ],
    }


def _patch(operations: Sequence[Mapping[str, Any]], kind: str, name: str) -> dict[str, Any]:
    """Return a patch; kustomize skips one whose target is not among the resources."""
    return {"target": {"kind": kind, "name": f"^({name})$"}, "patch": json.dumps(operations)}


def _dashboard(path: str) -> dict[str, Any]:
    labels = {"grafana_dashboard": "1", "app.kubernetes.io/part-of": "shopstream"}
    return {
        "configMapGenerator": [{"name": "shopstream-dashboard", "files": [path]}],
        # Grafana finds it by its label; a new name at every change would leave the old ones behind.
        "generatorOptions": {"disableNameSuffixHash": True, "labels": labels},
    }
