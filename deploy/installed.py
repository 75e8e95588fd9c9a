"""What `make deploy` installs: whether all of it is there, complete and ready."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Container

from deploy.credentials import WANTED, existing
from deploy.findings import LOOK, MISSING, OK, Finding
from deploy.objects import SHARED_CLAIMS
from deploy.settings import Settings
from deploy.tools import Object, ToolError, Tools

CONFIG_KEYS = (
    "KAFKA_BOOTSTRAP_SERVERS",
    "SHOPSTREAM_DATABASE",
    "SHOPSTREAM_DATA_DIR",
    "SHOPSTREAM_RUNTIME",
    "SHOPSTREAM_SPARK_IMAGE",
    "SHOPSTREAM_TOPIC",
)

# By part: what has to be ready, `kind/name`.
WORKLOADS = {
    "mongodb": ("statefulset/shopstream-mongodb",),
    "database": ("statefulset/shopstream-postgres",),
    "airflow": tuple(
        f"deployment/airflow-{name}" for name in ("api-server", "scheduler", "dag-processor", "triggerer", "statsd")
    ),
}
# Custom resources that say so themselves, by a condition.
CONDITIONS = {"kafka": ("kafka/shopstream", "kafkatopic/customer-events", "kafkauser/shopstream")}

_PULL_SECONDS = 180.0
_POLL_SECONDS = 1.0


def of_namespace(tools: Tools, settings: Settings) -> Finding:
    """Whether the namespace exists."""
    if tools.get("namespace", settings.namespace):
        return Finding("namespace", OK, settings.namespace)
    return Finding("namespace", MISSING, settings.namespace, "make deploy")


def of_config(tools: Tools, settings: Settings) -> Finding:
    """Whether the ConfigMap is complete and names the image that is to run."""
    found = tools.get("configmap", "shopstream-config", "--namespace", settings.namespace)
    if found is None:
        return Finding("settings", MISSING, "no ConfigMap shopstream-config", "make deploy ONLY=settings")
    data = found.get("data") or {}
    if lacking := [key for key in CONFIG_KEYS if not data.get(key)]:
        return Finding(
            "settings", MISSING, f"shopstream-config lacks {', '.join(lacking)}", "make deploy ONLY=settings"
        )
    image = data["SHOPSTREAM_SPARK_IMAGE"]
    if image != settings.image("spark"):
        todo = "REGISTRY=... TAG=... as you deployed, or make deploy with these"
        return Finding("settings", LOOK, f"jobs run {image}, asked about is {settings.image('spark')}", todo)
    return Finding("settings", OK, f"shopstream-config, jobs run {image}")


def of_secrets(tools: Tools, settings: Settings, skip: Container[str]) -> list[Finding]:
    """Whether every Secret has every key, and no empty value."""
    found = []
    for wanted in WANTED:
        if wanted.part in skip:
            continue
        what = f"Secret {wanted.name}"
        values = existing(tools, settings, wanted)
        lacking = [key for key in wanted.keys if not (values or {}).get(key)]
        todo = "make deploy ONLY=secrets"
        if yours := [key for key in lacking if wanted.yours.get(key) in skip]:
            todo = f"put your own {', '.join(yours)} into it (docs/kubernetes.md)"
        if values is None:
            found.append(Finding(what, MISSING, f"not in {wanted.namespace(settings)}", todo))
        elif lacking:
            found.append(Finding(what, MISSING, f"lacks {', '.join(lacking)}", todo))
        else:
            found.append(Finding(what, OK, ", ".join(wanted.keys)))
    return found


def of_claims(tools: Tools, settings: Settings) -> list[Finding]:
    """Whether the shared volumes exist."""
    found = []
    for name in SHARED_CLAIMS:
        claim = tools.get("persistentvolumeclaim", name, "--namespace", settings.namespace)
        what = f"volume {name}"
        if claim is None:
            found.append(Finding(what, MISSING, "not claimed", "make deploy ONLY=platform"))
            continue
        phase = claim["status"].get("phase")
        detail = f"{phase}, {', '.join(claim['spec']['accessModes'])}"
        todo = f"kubectl --namespace {settings.namespace} describe persistentvolumeclaim {name}"
        # Some classes wait for the first pod.
        status = OK if phase == "Bound" else LOOK if phase == "Pending" else MISSING
        found.append(Finding(what, status, detail, todo))
    return found


def of_workloads(tools: Tools, settings: Settings, skip: Container[str]) -> list[Finding]:
    """Whether what runs always is ready."""
    found = []
    for part, names in [*CONDITIONS.items(), *WORKLOADS.items()]:
        if part in skip:
            continue
        for name in names:
            try:
                item = tools.get(name, "--namespace", settings.namespace)
            except ToolError:
                # The cluster does not know the kind, which is a finding of its own.
                item = None
            todo = f"make deploy ONLY={part}"
            if item is None:
                found.append(Finding(name, MISSING, "not there", todo))
            else:
                found.append(_ready(name, item, settings))
    return found


def _ready(name: str, item: Object, settings: Settings) -> Finding:
    status = item.get("status") or {}
    if "conditions" in status and item["kind"].startswith("Kafka"):
        conditions = status["conditions"]
        good = any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
        detail = "ready" if good else next((one["message"] for one in conditions if one.get("message")), "not ready")
    else:
        wanted, ready = item.get("spec", {}).get("replicas", 1), status.get("readyReplicas", 0)
        good, detail = ready >= wanted, f"{ready} of {wanted} ready"
    return Finding(name, OK if good else MISSING, detail, f"kubectl --namespace {settings.namespace} describe {name}")


def of_images(tools: Tools, settings: Settings, pull: bool) -> list[Finding]:
    """Whether the two images can be had.

    Args:
        tools: To run kubectl.
        settings: Names them.
        pull: Start a pod of each; else only look what the nodes have already.
    """
    nodes = (tools.get("nodes") or {"items": []})["items"]
    held = [images_of(node) for node in nodes]
    found = []
    for name in ("airflow", "spark"):
        image = settings.image(name)
        count = sum(any(one == image or one.endswith(f"/{image}") for one in names) for names in held)
        if count == len(nodes) > 0:
            found.append(Finding(f"image {name}", OK, f"{image} is on every node"))
        elif pull:
            found.append(_pulled(tools, settings, name, image))
        else:
            detail = f"{image} is on {count} of {len(nodes)} nodes"
            found.append(
                Finding(f"image {name}", LOOK, detail, "see whether it can be pulled: make deploy-check PULL=1")
            )
    return found


def images_of(node: Object) -> set[str]:
    """Return the names of the images that a node has; it reports the largest fifty, some of which have lost theirs."""
    return {name for image in node["status"].get("images") or [] for name in image.get("names") or []}


def _pulled(tools: Tools, settings: Settings, name: str, image: str) -> Finding:
    pod = f"shopstream-pull-{name}-{uuid.uuid4().hex[:6]}"
    space = ("--namespace", settings.namespace)
    try:
        tools.kubectl("create", "--filename=-", given=json.dumps(_pull_pod(pod, settings.namespace, image)))
    except ToolError as error:
        return Finding(f"image {name}", MISSING, str(error), "make deploy ONLY=platform")
    deadline = time.monotonic() + _PULL_SECONDS
    reason = "no node took the pod"
    try:
        while time.monotonic() < deadline:
            status = (tools.get("pod", pod, *space) or {}).get("status", {})
            for container in status.get("containerStatuses", []):
                if container.get("imageID"):
                    return Finding(f"image {name}", OK, f"{image} was pulled")
                waiting = container["state"].get("waiting", {})
                reason = waiting.get("message") or waiting.get("reason") or reason
                if "Image" in waiting.get("reason", ""):
                    deadline = 0.0
            time.sleep(_POLL_SECONDS)
    finally:
        tools.kubectl("delete", "pod", pod, *space, "--wait=false")
    return Finding(f"image {name}", MISSING, f"{image}: {reason}", "push it, or name the right REGISTRY=... TAG=...")


def _pull_pod(name: str, namespace: str, image: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": {"app.kubernetes.io/part-of": "shopstream"}},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 1,
            "securityContext": {"runAsNonRoot": True, "runAsUser": 50000, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [
                {
                    "name": "pull",
                    "image": image,
                    "imagePullPolicy": "IfNotPresent",
                    "command": ["sh", "-c", "exit 0"],
                    "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"memory": "64Mi"}},
                    "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
                }
            ],
        },
    }
