"""How the stand-in for the spark-operator calls spark-submit: as the operator itself does."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

GROUP, VERSION = "sparkoperator.k8s.io", "v1beta2"

Application = dict[str, Any]


def arguments(application: Application, server: str, folder: Path) -> list[str]:
    """Return the arguments of spark-submit, as the operator makes them.

    Args:
        application: The application, with its submission id.
        server: URL of the API server.
        folder: Where the pod templates are written to.
    """
    spec, name = application["spec"], application["metadata"]["name"]
    conf = {
        "spark.kubernetes.namespace": application["metadata"]["namespace"],
        "spark.kubernetes.container.image": spec["image"],
        "spark.kubernetes.container.image.pullPolicy": spec.get("imagePullPolicy", "IfNotPresent"),
        "spark.kubernetes.submission.waitAppCompletion": "false",
        "spark.kubernetes.driver.pod.name": f"{name}-driver",
        **spec.get("sparkConf", {}),
        **_role(application, "driver", folder),
        **_role(application, "executor", folder),
        "spark.executor.instances": str(spec["executor"].get("instances", 1)),
    }
    options = [word for key, value in conf.items() for word in ("--conf", f"{key}={value}")]
    return [
        *("--master", f"k8s://{server}", "--deploy-mode", spec["mode"], "--name", name),
        *options,
        spec["mainApplicationFile"],
    ]


def _role(application: Application, role: str, folder: Path) -> dict[str, str]:
    """Return the settings of the driver or of the executors."""
    part, name = application["spec"][role], application["metadata"]["name"]
    container = f"spark-kubernetes-{role}"
    template = copy.deepcopy(part.get("template") or {"spec": {"containers": [{"name": container}]}})
    owner = {"apiVersion": f"{GROUP}/{VERSION}", "kind": "SparkApplication", "name": name}
    owner["uid"] = application["metadata"]["uid"]
    template.setdefault("metadata", {})["ownerReferences"] = [
        owner | ({"controller": True, "blockOwnerDeletion": True} if role == "driver" else {})
    ]
    path = folder / f"{role}-pod-template.json"
    path.write_text(json.dumps(template))
    prefix = f"spark.kubernetes.{role}"
    labels = {
        **application["metadata"].get("labels", {}),
        **part.get("labels", {}),
        "sparkoperator.k8s.io/app-name": name,
        "sparkoperator.k8s.io/launched-by-spark-operator": "true",
        "sparkoperator.k8s.io/submission-id": application["status"]["submissionID"],
    }
    fields = {
        "cores": f"spark.{role}.cores",
        "memory": f"spark.{role}.memory",
        "memoryOverhead": f"spark.{role}.memoryOverhead",
        "javaOptions": f"spark.{role}.extraJavaOptions",
        "coreRequest": f"{prefix}.request.cores",
        "coreLimit": f"{prefix}.limit.cores",
        "serviceAccount": f"spark.kubernetes.authenticate.{role}.serviceAccountName",
    }
    return {
        **{setting: str(part[field]) for field, setting in fields.items() if field in part},
        **{f"{prefix}.label.{key}": value for key, value in labels.items()},
        f"{prefix}.podTemplateFile": str(path),
        f"{prefix}.podTemplateContainerName": container,
    }
