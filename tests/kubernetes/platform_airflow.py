"""Airflow's processes as small manifests, for clusters that the official chart does not reach; pure.

Image, configuration, accounts, security contexts, memory and volumes are read from helm-values/airflow.yaml: what is
written here is only what the chart's templates would add. One of everything, and no reserved CPU: the test cluster has
two cores. Liveness probes are left out, as each imports Airflow.
"""

from __future__ import annotations

import json
from typing import Any

import yaml  # type: ignore[import-untyped]

from tests.kubernetes.cluster import REPOSITORY

Object = dict[str, Any]

HELM = REPOSITORY / "helm-values"
PART_OF = {"app.kubernetes.io/part-of": "shopstream"}
API_SERVER = "airflow-api-server"
MIGRATION = "airflow-run-airflow-migrations"
TEMPLATES = "/opt/airflow/pod_templates"

# Values that the chart reads out of the Secret it is given the name of.
SECRETS = {
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "connection",
    "AIRFLOW__CORE__FERNET_KEY": "fernet-key",
    "AIRFLOW__API__SECRET_KEY": "api-secret-key",
    "AIRFLOW__API_AUTH__JWT_SECRET": "jwt-secret",
}


class AirflowObjects:
    """The manifests.

    Args:
        image: The airflow image.
        namespace: Where they go.
    """

    def __init__(self, image: str, namespace: str) -> None:
        self._image = image
        self._namespace = namespace
        self._values: Object = yaml.safe_load((HELM / "airflow.yaml").read_text())

    def settings(self) -> Object:
        """Return the configuration of the values and what the chart adds to it, as variables in a ConfigMap."""
        repository, _, tag = self._image.rpartition(":")
        config: dict[str, dict[str, str]] = {section: dict(one) for section, one in self._values["config"].items()}
        config["core"] |= {
            "executor": self._values["executor"],
            "execution_api_server_url": f"http://{API_SERVER}:8080/execution/",
            # The tests start what they look at: on two cores nothing else should run beside it.
            "dags_are_paused_at_creation": "True",
        }
        config["logging"] |= {"base_log_folder": "/opt/airflow/logs"}
        config["kubernetes_executor"] |= {
            "namespace": self._namespace,
            "worker_container_repository": repository,
            "worker_container_tag": tag,
            "pod_template_file": f"{TEMPLATES}/pod_template_file.yaml",
        }
        data = {
            f"AIRFLOW__{section}__{key}".upper(): str(value)
            for section, one in config.items()
            for key, value in one.items()
        }
        return self._object("v1", "ConfigMap", "airflow-config", data=data)

    def pod_template(self) -> Object:
        """Return the template of task pods, in a ConfigMap."""
        workers = self._values["workers"]["kubernetes"]
        spec = self._pod(workers, ["airflow", "version"]) | {
            "restartPolicy": "Never",
            "serviceAccountName": workers["serviceAccount"]["name"],
            "terminationGracePeriodSeconds": workers["terminationGracePeriodSeconds"],
        }
        spec["containers"][0]["name"] = "base"
        template = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "worker", "labels": PART_OF}, "spec": spec}
        return self._object(
            "v1", "ConfigMap", "airflow-pod-template", data={"pod_template_file.yaml": json.dumps(template)}
        )

    def migration(self) -> Object:
        """Return the job that brings the database up to date."""
        values = self._values["migrateDatabaseJob"]
        spec = self._pod(values, values["args"])
        template = {"metadata": {"labels": PART_OF}, "spec": {**spec, "restartPolicy": "OnFailure"}}
        return self._object("batch/v1", "Job", MIGRATION, spec={"template": template})

    def processes(self) -> list[Object]:
        """Return the four processes, the account of one, and the way to it."""
        api = self._values["apiServer"]
        account = self._object("v1", "ServiceAccount", API_SERVER)
        port = {"name": "api-server", "port": 8080}
        labels = {"component": "api-server"}
        service = self._object("v1", "Service", API_SERVER, spec={"selector": labels, "ports": [port]})
        return [
            account,
            *self._log_reader(),
            service,
            self._process("api-server", api, api["args"], account=API_SERVER),
            self._process("scheduler", self._values["scheduler"]),
            self._process("triggerer", self._values["triggerer"]),
            self._process("dag-processor", self._values["dagProcessor"], account="default"),
        ]

    def _log_reader(self) -> list[Object]:
        """Return what the chart gives the API server for `allowPodLogReading`."""
        rules = [
            {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]},
            {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get", "list"]},
        ]
        kind = "rbac.authorization.k8s.io"
        name = "airflow-pod-log-reader-role"
        subjects = [{"kind": "ServiceAccount", "name": API_SERVER, "namespace": self._namespace}]
        reference = {"apiGroup": kind, "kind": "Role", "name": name}
        return [
            self._object(f"{kind}/v1", "Role", name, rules=rules),
            self._object(f"{kind}/v1", "RoleBinding", name, roleRef=reference, subjects=subjects),
        ]

    def _process(self, name: str, values: Object, args: list[str] | None = None, account: str = "") -> Object:
        spec = self._pod(values, args or ["bash", "-c", f"exec airflow {name}"])
        spec["serviceAccountName"] = account or values["serviceAccount"]["name"]
        spec["automountServiceAccountToken"] = values["serviceAccount"].get("automountServiceAccountToken", True)
        container = spec["containers"][0]
        spec["volumes"] += values.get("extraVolumes", [])
        if first := values.get("extraInitContainers"):
            spec["initContainers"] = [one | {"image": self._image, "imagePullPolicy": "Never"} for one in first]
        if name == "scheduler":
            spec["volumes"].append({"name": "pod-template", "configMap": {"name": "airflow-pod-template"}})
            container["volumeMounts"].append({"name": "pod-template", "mountPath": TEMPLATES})
        if name == "api-server":
            probe = {"httpGet": {"path": "/api/v2/version", "port": 8080}}
            container["readinessProbe"] = {**probe, "periodSeconds": 3, "timeoutSeconds": 10, "failureThreshold": 60}
        template = {"metadata": {"labels": {**PART_OF, "component": name}}, "spec": spec}
        selector = {"matchLabels": {"component": name}}
        return self._object(
            "apps/v1", "Deployment", f"airflow-{name}", spec={"selector": selector, "template": template}
        )

    def _pod(self, values: Object, args: list[str]) -> Object:
        """Return the spec of a pod with one container of the airflow image."""
        secret = self._values["data"]["metadataSecretName"]
        keys = [
            {"name": variable, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}}
            for variable, key in SECRETS.items()
        ]
        logs = {
            "name": "logs",
            "persistentVolumeClaim": {"claimName": self._values["logs"]["persistence"]["existingClaim"]},
        }
        container = {
            "name": "airflow",
            "image": self._image,
            "imagePullPolicy": "Never",
            "args": args,
            "envFrom": [{"configMapRef": {"name": "airflow-config"}}, *yaml.safe_load(self._values["extraEnvFrom"])],
            "env": [*keys, *yaml.safe_load(self._values["extraEnv"])],
            "resources": {"limits": values["resources"]["limits"], "requests": {"cpu": "10m", "memory": "64Mi"}},
            "securityContext": self._values["securityContexts"]["containers"],
            "volumeMounts": [*self._values["volumeMounts"], {"name": "logs", "mountPath": "/opt/airflow/logs"}],
        }
        return {
            "securityContext": self._values["securityContexts"]["pod"],
            "terminationGracePeriodSeconds": 5,
            "volumes": [*self._values["volumes"], logs],
            "containers": [container],
        }

    def _object(self, api: str, kind: str, name: str, **content: Any) -> Object:
        return {"apiVersion": api, "kind": kind, "metadata": {"name": name, "labels": PART_OF}, **content}


def database(image: str) -> list[Object]:
    """Return Airflow's database as `make deploy` makes it, of an image that is at hand."""
    objects: list[Object] = list(yaml.safe_load_all((HELM / "manifests" / "postgres.yaml").read_text()))
    for one in objects:
        if one["kind"] == "StatefulSet":
            (container,) = one["spec"]["template"]["spec"]["containers"]
            container |= {"image": image, "imagePullPolicy": "Never"}
            container["resources"]["requests"]["cpu"] = "10m"
    return objects
