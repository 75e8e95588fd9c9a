"""What you have to provide: a cluster that answers, lets you install, has volumes and room."""

from __future__ import annotations

import json
import re
from collections.abc import Container, Mapping

from deploy.findings import LOOK, MISSING, OK, Finding
from deploy.settings import Settings
from deploy.tools import Object, ToolError, Tools, missing

# The oldest that all charts support, and the Helm that Airflow's asks for.
LEAST_KUBERNETES = (1, 30)
LEAST_HELM = (3, 19)

# What the platform asks for when all of it runs, one wave of training included: the sum over helm-values/.
# tests/unit/deployment/test_helm_sizes.py adds it up.
NEEDED_CPU, NEEDED_MEMORY_MIB = 16.0, 57_000
LARGEST_POD_MIB = 4_096

# Kinds of resources by part, and how to get them.
CRDS = {
    "strimzi": ("kafkas", "kafkanodepools", "kafkatopics", "kafkausers"),
    "spark-operator": ("sparkapplications",),
    "monitoring": ("prometheusrules",),
}
_GROUPS = {
    "strimzi": ("kafka.strimzi.io", "v1"),
    "spark-operator": ("sparkoperator.k8s.io", "v1beta2"),
    "monitoring": ("monitoring.coreos.com", "v1"),
}

# Provisioners of block devices: a volume of theirs is on one node at a time.
_ONE_NODE = re.compile(
    r"ebs\.csi\.aws|disk\.csi\.azure|pd\.csi\.storage\.gke|local-path|no-provisioner|cinder|vsphere|rbd\.csi|host-?path"
)
_UNITS = {"Ki": 1 / 1024, "Mi": 1.0, "Gi": 1024.0, "Ti": 1024.0**2}


def of_tools() -> list[Finding]:
    """Whether kubectl and helm are installed."""
    return [
        Finding(name, MISSING, "not on PATH", f"install {name}") if missing(name) else Finding(name, OK, "installed")
        for name in ("kubectl", "helm")
    ]


def of_helm(tools: Tools) -> Finding:
    """Whether helm is new enough."""
    text = tools.helm("version", "--template={{.Version}}").strip()
    if version_of(text) >= LEAST_HELM:
        return Finding("helm's version", OK, text)
    least = ".".join(map(str, LEAST_HELM))
    return Finding("helm's version", LOOK, f"{text}, Airflow's chart asks for {least}", "install a newer Helm")


def of_server(tools: Tools) -> Finding:
    """Whether the cluster answers, and is new enough."""
    try:
        text = tools.kubectl("version", "--output=json", "--request-timeout=10s")
    except ToolError as error:
        return Finding("cluster", MISSING, str(error), "choose one that answers: CONTEXT=..., or KUBECONFIG")
    server = json.loads(text)["serverVersion"]["gitVersion"]
    if version_of(server) >= LEAST_KUBERNETES:
        return Finding("cluster", OK, f"Kubernetes {server}")
    least = ".".join(map(str, LEAST_KUBERNETES))
    return Finding("cluster", MISSING, f"Kubernetes {server}", f"upgrade it to {least} or newer")


def version_of(text: str) -> tuple[int, int]:
    """Return major and minor version of `v1.33.13`; (0, 0) where there is none."""
    match = re.search(r"(\d+)\.(\d+)", text)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def of_crds(tools: Tools, skip: Container[str]) -> list[Finding]:
    """Whether the kinds of the operators are known, in the versions that we write."""
    found = []
    for part, plurals in CRDS.items():
        if part in skip:
            continue
        group, version = _GROUPS[part]
        served = {
            name for name in plurals if version in _served(tools.get("customresourcedefinition", f"{name}.{group}"))
        }
        lacking = [name for name in plurals if name not in served]
        what = f"kinds of {group}"
        if lacking:
            todo = f"make deploy ONLY={part}"
            found.append(Finding(what, MISSING, f"{', '.join(lacking)} in version {version}", todo))
        else:
            found.append(Finding(what, OK, f"{', '.join(plurals)} ({version})"))
    return found


def _served(crd: Object | None) -> set[str]:
    return {one["name"] for one in crd["spec"]["versions"] if one["served"]} if crd else set()


def of_storage(tools: Tools, settings: Settings) -> list[Finding]:
    """Whether volumes can be had, and such that several nodes can share."""
    classes: list[Object] = (tools.get("storageclasses") or {"items": []})["items"]
    default = [one for one in classes if _is_default(one)]
    nodes = _nodes(tools)
    found = [
        Finding("default storage class", OK, default[0]["metadata"]["name"])
        if default
        else Finding("default storage class", MISSING, "none", "mark one: storageclass.kubernetes.io/is-default-class")
    ]
    shared = [one for one in classes if one["metadata"]["name"] == settings.storage_class] or default
    what = "class of the shared volumes"
    if settings.storage_class and not any(one["metadata"]["name"] == settings.storage_class for one in classes):
        detail = f"{settings.storage_class} does not exist"
        return [*found, Finding(what, MISSING, detail, "kubectl get storageclasses")]
    if not shared:
        return [*found, Finding(what, MISSING, "none", "name one that can ReadWriteMany: STORAGE_CLASS=...")]
    name, provisioner = shared[0]["metadata"]["name"], shared[0]["provisioner"]
    if settings.access_mode == "ReadWriteOnce":
        if len(nodes) > 1:
            detail = f"ReadWriteOnce on {len(nodes)} nodes: jobs could only run on one of them"
            return [*found, Finding(what, MISSING, detail, "a class that can ReadWriteMany: STORAGE_CLASS=...")]
        return [*found, Finding(what, OK, f"{name} ({provisioner}), ReadWriteOnce on the only node")]
    if _ONE_NODE.search(provisioner):
        detail = f"{name} ({provisioner}) cannot ReadWriteMany"
        todo = "STORAGE_CLASS=... of a network file system"
        if len(nodes) == 1:
            todo += ", or, as there is one node, ACCESS_MODE=ReadWriteOnce"
        return [*found, Finding(what, MISSING, detail, todo)]
    return [*found, Finding(what, LOOK, f"{name} ({provisioner})", "make sure that it can ReadWriteMany")]


def _is_default(storage_class: Object) -> bool:
    annotations = storage_class["metadata"].get("annotations") or {}
    return bool(annotations.get("storageclass.kubernetes.io/is-default-class") == "true")


def _nodes(tools: Tools) -> list[Object]:
    """Return the nodes that take pods."""
    nodes = (tools.get("nodes") or {"items": []})["items"]
    return [node for node in nodes if not node["spec"].get("unschedulable") and _ready(node)]


def _ready(node: Object) -> bool:
    return any(one["type"] == "Ready" and one["status"] == "True" for one in node["status"].get("conditions", []))


def of_room(tools: Tools) -> list[Finding]:
    """Whether the nodes have room for everything, and one of them for the largest pod.

    What the platform's pods that run already have asked for counts as room.
    """
    free = {node["metadata"]["name"]: _size(node["status"]["allocatable"]) for node in _nodes(tools)}
    for pod in (tools.get("pods", "--all-namespaces") or {"items": []})["items"]:
        node = pod["spec"].get("nodeName")
        ours = (pod["metadata"].get("labels") or {}).get("app.kubernetes.io/part-of") == "shopstream"
        if node in free and not ours and pod["status"].get("phase") not in ("Succeeded", "Failed"):
            cpu, memory = asked_for(pod)
            free[node] = (free[node][0] - cpu, free[node][1] - memory)
    cpu, memory = sum(one[0] for one in free.values()), sum(one[1] for one in free.values())
    wanted = f"{NEEDED_CPU:.0f} and {NEEDED_MEMORY_MIB / 1024:.0f} wanted"
    detail = f"{cpu:.1f} CPUs and {memory / 1024:.0f} GiB free on {len(free)} nodes, {wanted}"
    enough = cpu >= NEEDED_CPU and memory >= NEEDED_MEMORY_MIB
    todo = "more nodes, or smaller requests in helm-values/ (docs/scaling.md)"
    largest = max((one[1] for one in free.values()), default=0.0)
    return [
        Finding("room for everything", OK if enough else MISSING, detail, todo),
        Finding(
            "room for the largest pod",
            OK if largest >= LARGEST_POD_MIB else MISSING,
            f"{largest / 1024:.1f} GiB free on one node, {LARGEST_POD_MIB / 1024:.0f} wanted",
            "larger nodes",
        ),
    ]


def asked_for(pod: Object) -> tuple[float, float]:
    """Return what a pod requests: CPUs, MiB."""
    sizes = [_size(one.get("resources", {}).get("requests", {})) for one in pod["spec"]["containers"]]
    return sum(cpu for cpu, _ in sizes), sum(memory for _, memory in sizes)


def _size(quantities: Mapping[str, str]) -> tuple[float, float]:
    return cpus(quantities.get("cpu", "0")), mebibytes(quantities.get("memory", "0"))


def cpus(quantity: str) -> float:
    """Return CPUs of `250m` or `2`."""
    return float(quantity[:-1]) / 1000 if quantity.endswith("m") else float(quantity)


def mebibytes(quantity: str) -> float:
    """Return MiB of `512Mi`, `2Gi`, `1000000`."""
    match = re.fullmatch(r"([\d.]+)([KMGT]i)?([kMG]|m)?", quantity)
    if not match:
        return 0.0
    if match[2]:
        return float(match[1]) * _UNITS[match[2]]
    return float(match[1]) * {"k": 1e3, "M": 1e6, "G": 1e9, "m": 1e-3}.get(match[3] or "", 1.0) / 2**20
