"""`make deploy` and `make deploy-check` on a real cluster.

The charts of others cannot be fetched where these tests run, so each is replaced by a small chart of the same name that
only shows the values it was given: what is tested is that Helm gets the right chart, namespace and values, and that
repeating it is safe. Everything of our own is applied as it is.
"""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from deploy.parts import PARTS
from deploy.tools import ToolError, Tools
from tests.kubernetes.cluster import Cluster
from tests.kubernetes.deploying import lines, run, write_charts


@pytest.fixture(scope="module")
def charts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a stand-in for every chart."""
    return write_charts(tmp_path_factory.mktemp("charts"))


@pytest.fixture(scope="module")
def deployed(cluster: Cluster, namespace: str, charts: Path) -> tuple[str, list[str]]:
    """What needs no images, installed; the namespace, and the options it was installed with."""
    options = [
        "--namespace", namespace, "--access-mode", "ReadWriteOnce", "--skip", "monitoring",
        "--registry", "registry.example.com/shop", "--tag", "7",
    ]  # fmt: skip
    done = install(cluster, options, charts)
    assert done.returncode == 0, done.stderr
    return namespace, options


def install(cluster: Cluster, options: list[str], charts: Path) -> subprocess.CompletedProcess[str]:
    return run(cluster, "apply", *options, "--only", "platform secrets settings airflow", "--charts", str(charts))


def secret(cluster: Cluster, namespace: str, name: str) -> dict[str, str]:
    data = cluster.get("secret", name, "-n", namespace)["data"]
    return {key: base64.b64decode(value).decode() for key, value in data.items()}


def test_a_dry_run_has_the_cluster_check_everything_and_changes_nothing(cluster: Cluster, charts: Path) -> None:
    name = "never-made"
    done = run(
        cluster, "apply", "--dry-run", "--namespace", name, "--access-mode", "ReadWriteOnce", "--with", "quota",
        "--charts", str(charts),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    names = re.findall(r"^\[\d+/\d+\] ([\w-]+):", done.stdout, re.MULTILINE)
    assert names == [part.name for part in PARTS]
    counts = [
        int(count) for count in re.findall(r"(\d+) objects would be applied, the server finds no fault", done.stdout)
    ]
    assert len(counts) == sum(bool(part.files) for part in PARTS)
    assert sum(counts) >= 30
    assert f"{name}/shopstream-airflow: database-password, connection" in done.stdout
    # What only an operator makes known is said to be unchecked, and nothing else is.
    known = cluster.kubectl("api-resources", "--no-headers")
    expected = {part for part, kind in (("kafka", "KafkaTopic"), ("monitoring", "PrometheusRule")) if kind not in known}
    report = done.stdout.partition("dry run: nothing was changed")[2]
    assert set(re.findall(r"^  ([\w-]+): ", report, re.MULTILINE)) == expected
    for space in (name, "monitoring", "strimzi", "spark-operator"):
        if cluster.kubectl("get", "namespace", space, "--ignore-not-found"):
            assert space != name
            assert not cluster.kubectl("get", "configmaps", "-n", space, "-l", "app.kubernetes.io/part-of=shopstream")


def test_a_dry_run_without_charts_says_which_it_could_not_check(cluster: Cluster) -> None:
    done = run(cluster, "apply", "--dry-run", "--only", "airflow spark-operator", "--namespace", "never-made")
    assert done.returncode == 0, done.stderr
    fetched = re.findall(r"^  chart ([\w-]+) [\d.]+: \d+ objects would be installed$", done.stdout, re.MULTILINE)
    refused = re.findall(r"^  [\w-]+: values only read, chart ([\w-]+) ", done.stdout, re.MULTILINE)
    assert sorted([*fetched, *refused]) == ["airflow", "spark-operator"]
    assert done.stdout.count("NOT CHECKED") == len(refused)


def test_objects_are_adapted_to_the_deployment(cluster: Cluster, deployed: tuple[str, list[str]]) -> None:
    namespace, _ = deployed
    config = cluster.get("configmap", "shopstream-config", "-n", namespace)["data"]
    assert config["SHOPSTREAM_SPARK_IMAGE"] == "registry.example.com/shop/shopstream-spark:7"
    subjects = cluster.get("rolebinding", "shopstream-airflow", "-n", namespace)["subjects"]
    assert subjects == [{"kind": "ServiceAccount", "name": "shopstream-airflow", "namespace": namespace}]
    claim = cluster.get("persistentvolumeclaim", "shopstream-data", "-n", namespace)["spec"]
    assert claim["accessModes"] == ["ReadWriteOnce"]
    labels = cluster.get("namespace", namespace)["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "baseline"


def test_helm_gets_the_values(cluster: Cluster, deployed: tuple[str, list[str]]) -> None:
    namespace, _ = deployed
    data = cluster.get("configmap", "airflow-values", "-n", namespace)["data"]
    values: dict[str, Any] = json.loads(data["values.json"])
    assert values["defaultAirflowRepository"] == "registry.example.com/shop/shopstream-airflow"
    assert (str(values["defaultAirflowTag"]), values["executor"]) == ("7", "KubernetesExecutor")


def test_doing_it_again_changes_nothing_that_exists(
    cluster: Cluster, deployed: tuple[str, list[str]], charts: Path
) -> None:
    namespace, options = deployed
    kinds = "secrets,persistentvolumeclaims,serviceaccounts,roles.rbac.authorization.k8s.io,networkpolicies,configmaps"

    def versions() -> dict[str, str]:
        found = cluster.get(kinds, "-n", namespace, "-l", "app.kubernetes.io/part-of=shopstream")["items"]
        return {f"{one['kind']}/{one['metadata']['name']}": one["metadata"]["resourceVersion"] for one in found}

    before = versions()
    assert len(before) > 20
    done = install(cluster, options, charts)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(": complete") == 3
    assert versions() == before


def test_one_part_alone_keeps_images_and_volumes_as_they_are(cluster: Cluster, deployed: tuple[str, list[str]]) -> None:
    namespace, _ = deployed
    before = cluster.get("configmap", "shopstream-config", "-n", namespace)["data"]
    done = run(cluster, "apply", "--namespace", namespace, "--only", "platform settings")
    assert done.returncode == 0, done.stderr
    assert cluster.get("configmap", "shopstream-config", "-n", namespace)["data"] == before
    done = run(cluster, "apply", "--namespace", namespace, "--only", "settings", "--tag", "8")
    assert done.returncode == 0, done.stderr
    data = cluster.get("configmap", "shopstream-config", "-n", namespace)["data"]
    assert data["SHOPSTREAM_SPARK_IMAGE"] == "registry.example.com/shop/shopstream-spark:8"
    run(cluster, "apply", "--namespace", namespace, "--only", "settings", "--tag", "7")


def test_a_missing_key_is_made_up_and_the_others_stay(
    cluster: Cluster, deployed: tuple[str, list[str]], charts: Path
) -> None:
    namespace, options = deployed
    before = secret(cluster, namespace, "shopstream-airflow")
    cluster.kubectl("patch", "secret", "shopstream-airflow", "-n", namespace, "--type=json",
                    "-p", '[{"op": "remove", "path": "/data/jwt-secret"}]')  # fmt: skip
    found = lines(run(cluster, "check", *options))["Secret shopstream-airflow"]
    assert found == ("MISSING", "lacks jwt-secret")
    assert install(cluster, options, charts).returncode == 0
    after = secret(cluster, namespace, "shopstream-airflow")
    assert {key for key in before if after[key] != before[key]} == {"jwt-secret"}


def test_a_check_tells_what_is_there_and_what_is_not(cluster: Cluster, deployed: tuple[str, list[str]]) -> None:
    namespace, options = deployed
    done = run(cluster, "check", *options)
    assert done.returncode == 1
    found = lines(done)
    assert found["cluster"][0] == found["your rights"][0] == found["namespace"][0] == "OK"
    assert found["settings"] == ("OK", "shopstream-config, jobs run registry.example.com/shop/shopstream-spark:7")
    for account in ("shopstream-airflow", "shopstream-spark-driver", "shopstream-job"):
        assert found[f"rights of {account}"][0] == "OK", found[f"rights of {account}"]
    for name in ("shopstream-mongodb", "shopstream-secrets", "shopstream-airflow"):
        assert found[f"Secret {name}"][0] == "OK"
    assert found["class of the shared volumes"][0] == "OK"
    assert found["statefulset/shopstream-mongodb"] == ("MISSING", "not there")
    assert "Secret shopstream-grafana" not in found
    assert re.search(r"\n\d+ OK, \d+ MISSING, \d+ LOOK\n$", done.stdout)
    for value in secret(cluster, namespace, "shopstream-airflow").values():
        assert value not in done.stdout


def test_a_check_sees_what_is_ready(cluster: Cluster, deployed: tuple[str, list[str]]) -> None:
    namespace, options = deployed
    # The cluster's own image, which does nothing, under the name of one of Airflow's deployments.
    name = "deployment/airflow-statsd"
    cluster.kubectl("create", "deployment", "airflow-statsd", "-n", namespace, "--image=localhost/pause:1")
    try:
        cluster.kubectl("rollout", "status", name, "-n", namespace, "--timeout=60s")
        found = lines(run(cluster, "check", *options))
        cluster.kubectl("scale", name, "-n", namespace, "--replicas=0")
        cluster.kubectl("set", "image", name, "-n", namespace, "pause=registry.example.com/none:1")
        cluster.kubectl("scale", name, "-n", namespace, "--replicas=2")
        broken = lines(run(cluster, "check", *options))
    finally:
        cluster.kubectl("delete", name, "-n", namespace)
    assert found[name] == ("OK", "1 of 1 ready")
    assert broken[name] == ("MISSING", "0 of 2 ready")


def test_a_right_too_many_is_found(cluster: Cluster, deployed: tuple[str, list[str]]) -> None:
    namespace, options = deployed
    cluster.kubectl("create", "rolebinding", "odd", "-n", namespace, "--clusterrole=view",
                    f"--serviceaccount={namespace}:shopstream-job")  # fmt: skip
    try:
        status, detail = lines(run(cluster, "check", *options))["rights of shopstream-job"]
    finally:
        cluster.kubectl("delete", "rolebinding", "odd", "-n", namespace)
    assert (status, detail) == ("MISSING", f"may get configmaps in {namespace}, and should not")


def test_an_image_that_cannot_be_pulled_is_found(cluster: Cluster, deployed: tuple[str, list[str]]) -> None:
    namespace, options = deployed
    status, detail = lines(run(cluster, "check", *options, "--pull"))["image spark"]
    assert status == "MISSING"
    assert detail.startswith("registry.example.com/shop/shopstream-spark:7: ")
    assert not [name for name in cluster.kubectl("get", "pods", "-n", namespace, "-o", "name").split() if "pull" in name
                and "deletionTimestamp" not in cluster.kubectl("get", name, "-n", namespace, "-o", "json")]  # fmt: skip


def test_somebody_without_rights_is_told_so(cluster: Cluster, namespace: str, tmp_path: Path) -> None:
    cluster.kubectl("create", "serviceaccount", "nobody", "-n", namespace)
    token = cluster.kubectl("create", "token", "nobody", "-n", namespace).strip()
    kubeconfig = json.loads(cluster.kubectl("config", "view", "--raw", "--minify", "-o", "json"))
    kubeconfig["users"][0]["user"] = {"token": token}
    path = tmp_path / "kubeconfig"
    path.write_text(json.dumps(kubeconfig))
    check = run(cluster, "check", "--namespace", namespace, kubeconfig=path)
    assert check.returncode == 1
    status, detail = lines(check)["your rights"]
    assert (status, detail[:12]) == ("MISSING", "you may not ")
    # What may not be looked at is said, and does not end the check.
    assert lines(check)["Secrets"][0] == "LOOK"
    done = run(cluster, "apply", "--only", "platform", "--namespace", namespace, kubeconfig=path)
    assert done.returncode == 2
    assert re.match(r"error: kubectl apply: .*forbidden", done.stderr)
    assert done.stderr.count("\n") == 1


def test_without_a_cluster(cluster: Cluster, tmp_path: Path) -> None:
    nowhere = tmp_path / "kubeconfig"
    done = run(cluster, "check", kubeconfig=nowhere)
    assert done.returncode == 1
    assert lines(done)["cluster"][0] == "MISSING"
    done = run(cluster, "apply", kubeconfig=nowhere)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)


def test_objects_of_an_operator_that_is_not_there(cluster: Cluster, deployed: tuple[str, list[str]]) -> None:
    _, options = deployed
    if "KafkaTopic" in cluster.kubectl("api-resources", "--no-headers"):
        pytest.skip("the operator's kinds are known here")
    done = run(cluster, "apply", *options, "--only", "kafka")
    assert done.returncode == 2
    assert "ensure CRDs are installed first" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_wait_that_is_in_vain_names_the_pods(
    cluster: Cluster, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(cluster.kubeconfig))
    monkeypatch.setenv("PATH", f"{cluster.kubeconfig.parent / 'bin'}:{os.environ['PATH']}")
    cluster.kubectl("create", "deployment", "vain", "-n", namespace, "--image=registry.example.com/none:1")
    arguments = ["rollout", "status", "deployment/vain", "--namespace", namespace]
    with pytest.raises(ToolError, match=r"the impossible: .*timed out.*; not ready: vain"):
        Tools().wait("the impossible", 5, arguments, lambda: "not ready: vain")
