from datetime import timedelta
from typing import Any

from kubernetes_stand_ins import cluster_config

from shopstream.pods.job_pod import job_pod


def build(**changed: Any) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        "name": "churn-abc",
        "labels": {"dag_id": "train_models"},
        "timeout": timedelta(hours=1),
    }
    return job_pod(cluster_config(), "churn", ["--as-of=2019-11-01T00:00:00Z"], **arguments | changed)


def test_the_job_runs_as_the_contract_says() -> None:
    pod = build()
    job, sidecar = pod["spec"]["containers"]
    assert job["args"] == [
        *("python", "-m", "spark_jobs.jobs.churn", "--as-of=2019-11-01T00:00:00Z"),
        *("--result", "/airflow/xcom/return.json"),
    ]
    assert "command" not in job, "the image's entry point would be skipped"
    assert (job["image"], job["imagePullPolicy"]) == ("shopstream-spark:1", "Never")
    assert sidecar["image"] == "shopstream-spark:1"
    assert build(sidecar_image="alpine:3")["spec"]["containers"][1]["image"] == "alpine:3"
    assert pod["metadata"]["namespace"] == "shop"
    assert pod["metadata"]["labels"]["app.kubernetes.io/part-of"] == "shopstream"
    assert pod["metadata"]["labels"]["dag_id"] == "train_models"


def test_every_container_is_locked_down() -> None:
    spec = build()["spec"]
    assert spec["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 185,
        "runAsGroup": 0,
        "fsGroup": 0,
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    for container in spec["containers"]:
        context = container["securityContext"]
        assert context["allowPrivilegeEscalation"] is False
        assert context["readOnlyRootFilesystem"] is True
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert set(container["resources"]) == {"requests", "limits"}
    assert spec["serviceAccountName"] == "shopstream-job"
    assert spec["automountServiceAccountToken"] is False
    assert "hostNetwork" not in spec


def test_what_is_written_to_is_a_volume() -> None:
    spec = build()["spec"]
    job = spec["containers"][0]
    kinds = {volume["name"]: next(iter(set(volume) - {"name"})) for volume in spec["volumes"]}
    assert kinds == {"data": "persistentVolumeClaim", "tmp": "emptyDir", "xcom": "emptyDir"}
    assert {mount["mountPath"]: mount["name"] for mount in job["volumeMounts"]} == {
        "/var/lib/shopstream": "data",
        "/tmp": "tmp",
        "/airflow/xcom": "xcom",
    }


def test_secrets_come_by_reference_and_the_pods_own_settings_win() -> None:
    job = build()["spec"]["containers"][0]
    env = {variable["name"]: variable for variable in job["env"]}
    assert job["envFrom"] == [{"configMapRef": {"name": "shopstream-config"}}]
    assert env["MONGODB_URI"]["valueFrom"] == {"secretKeyRef": {"name": "shopstream-secrets", "key": "mongodb-uri"}}
    assert env["SHOPSTREAM_KAFKA_CA"]["valueFrom"] == {
        "secretKeyRef": {"name": "shopstream-cluster-ca-cert", "key": "ca.crt", "optional": True}
    }
    assert env["SHOPSTREAM_DATA_DIR"]["value"] == "/var/lib/shopstream"
    assert env["SHOPSTREAM_SPARK_MASTER"]["value"] == "local[2]"
    assert env["SHOPSTREAM_SPARK_DRIVER_MEMORY"]["value"] == "2457m"
    assert not [name for name, one in env.items() if "value" in one and "://" in one["value"]]


def test_the_deadline_is_behind_the_tasks_own() -> None:
    assert build()["spec"]["activeDeadlineSeconds"] == 3720
    assert "activeDeadlineSeconds" not in build(timeout=None)["spec"]
