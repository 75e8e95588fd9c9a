"""Our own Kubernetes objects: Kafka, MongoDB, policies, metrics. Each says the same everywhere it is said."""

from __future__ import annotations

import json
import re
import subprocess
from typing import Any

from helm_files import HELM, PART_OF, containers, named, objects, values, walk

from deploy.credentials import MONGODB_MEMBERS, WANTED
from tests import secure_kafka

from shopstream.pods import spark_application  # isort: skip


RESTORE = named("Job", "shopstream-mongodb-restore")


def test_kafka_has_one_way_in_and_rules_for_every_user() -> None:
    kafka = named("Kafka", "shopstream")["spec"]["kafka"]
    (listener,) = kafka["listeners"]
    assert (listener["tls"], listener["authentication"]["type"]) == (True, "scram-sha-512")
    assert kafka["authorization"] == {"type": "simple"}
    assert "superUsers" not in kafka["authorization"]
    topic = named("KafkaTopic", "customer-events")["spec"]
    data = named("ConfigMap", "shopstream-config")["data"]
    assert topic["topicName"] == data["SHOPSTREAM_TOPIC"]
    assert data["KAFKA_BOOTSTRAP_SERVERS"].endswith(f":{listener['port']}")
    users = [one for one in objects() if one["kind"] == "KafkaUser"]
    assert {one["metadata"]["name"] for one in users} == {data["SHOPSTREAM_KAFKA_USER"], "shopstream-producer"}
    for user in users:
        assert user["spec"]["authentication"]["type"] == "scram-sha-512"
        for rule in user["spec"]["authorization"]["acls"]:
            assert rule["resource"]["type"] in ("topic", "group")
            assert "All" not in rule["operations"]
    replicas = named("KafkaNodePool", "node")["spec"]["replicas"]
    assert topic["replicas"] == kafka["config"]["default.replication.factor"] == replicas == 3
    assert kafka["config"]["min.insync.replicas"] == replicas - 1


def test_mongodb_members_are_agreed_on() -> None:
    script = named("ConfigMap", "shopstream-mongodb-init")["data"]["init.js"]
    replicas = named("StatefulSet", "shopstream-mongodb")["spec"]["replicas"]
    assert f"MEMBERS = {replicas}," in script
    assert replicas == MONGODB_MEMBERS
    for job in (named("CronJob", "shopstream-mongodb-backup")["spec"]["jobTemplate"], RESTORE):
        (container,) = job["spec"]["template"]["spec"]["containers"]
        for number in range(replicas):
            assert f"shopstream-mongodb-{number}.shopstream-mongodb" in container["command"][-1]
    keys = set(re.findall(r'"([\w-]+-password)"', script))
    assert keys == {key for wanted in WANTED if wanted.name == "shopstream-mongodb" for key in wanted.keys} - {
        "keyfile"
    }


def test_the_restore_finds_what_the_backup_leaves() -> None:
    backup = named("CronJob", "shopstream-mongodb-backup")["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    restore = RESTORE["spec"]["template"]["spec"]
    claims = [volume["persistentVolumeClaim"] for volume in (backup["volumes"][0], restore["volumes"][0])]
    assert claims[0] == claims[1]
    assert {pod["containers"][0]["image"] for pod in (backup, restore)} == {backup["containers"][0]["image"]}
    written, read = (pod["containers"][0]["command"][-1] for pod in (backup, restore))
    assert ".archive.gz" in written
    assert "/backup/*.archive.gz | sort | tail -n 1" in read
    assert "--gzip" in written
    assert "--gzip" in read
    database = named("ConfigMap", "shopstream-config")["data"]["SHOPSTREAM_DATABASE"]
    assert f"--nsInclude='{database}.*'" in read


def test_scripts_in_manifests_are_sound() -> None:
    scripts = [one["command"][-1] for _, one in containers() if one.get("command", [""])[0] == "sh"]
    assert len(scripts) == 3
    for script in scripts:
        done = subprocess.run(["sh", "-n"], input=script, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def test_every_network_policy_speaks_of_pods_that_exist() -> None:
    """Labels that policies select by are those of our pods, of the charts, of Spark or of Strimzi."""
    known: set[tuple[str, str]] = {("app.kubernetes.io/component", "job"), *PART_OF.items()}
    known |= {("tier", "airflow"), ("component", "api-server"), ("component", "statsd")}
    known |= {("spark-role", "driver"), ("spark-role", "executor"), ("strimzi.io/cluster", "shopstream")}
    known |= {("kubernetes.io/metadata.name", "monitoring"), ("shopstream/ingress", "true")}
    known |= {("app.kubernetes.io/name", name) for name in ("mongodb", "mongodb-init", "postgres")}
    known |= {("app.kubernetes.io/name", f"mongodb-{name}") for name in ("backup", "restore")}
    used: set[tuple[str, str]] = set()
    for policy in (one for one in objects() if one["kind"] == "NetworkPolicy"):
        for where, value in walk(policy["spec"]):
            if where and where[-1] == "matchLabels":
                used |= set(value.items())
            if where and where[-1] == "matchExpressions":
                used |= {(one["key"], name) for one in value for name in one["values"]}
    assert used == known
    deny = named("NetworkPolicy", "deny-all")["spec"]
    assert deny == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def test_dashboard_asks_for_metrics_that_somebody_exports() -> None:
    dashboard = json.loads((HELM / "dashboards/shopstream.json").read_text())
    panels = [panel for panel in dashboard["panels"] if panel["type"] != "row"]
    assert len(panels) > 10
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
    namespace = spark_application.NAME.replace("-", "_")
    families = (
        "airflow_",
        "kafka_",
        "kube_",
        "kubelet_",
        "container_",
        f"metrics_{namespace}_driver_spark_streaming_",
        "up{",
    )
    for panel in panels:
        assert panel["description"], panel["title"]
        for target in panel["targets"]:
            assert any(family in target["expr"] for family in families), target["expr"]
            assert target["expr"].count("(") == target["expr"].count(")")
    # Panels lie side by side: no two share a field of the grid.
    taken: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        fields = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not fields & taken, panel["title"]
        taken |= fields


def test_alerts_say_what_they_mean_and_what_to_do() -> None:
    (group,) = named("PrometheusRule", "shopstream")["spec"]["groups"]
    assert len(group["rules"]) > 5
    for rule in group["rules"]:
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert set(rule["annotations"]) == {"summary", "action"}, rule["alert"]


def test_prometheus_finds_what_is_annotated() -> None:
    (job,) = values("monitoring")["prometheus"]["prometheusSpec"]["additionalScrapeConfigs"]
    assert job["kubernetes_sd_configs"][0]["selectors"][0]["label"] == "app.kubernetes.io/part-of=shopstream"
    pods_of: dict[str, Any] = {
        "statsd": values("airflow")["statsd"]["podAnnotations"],
        "kafka": named("Kafka", "shopstream")["spec"]["kafka"]["template"]["pod"]["metadata"]["annotations"],
    }
    for found in pods_of.values():
        assert found["prometheus.io/scrape"] == "true"
        assert found["prometheus.io/port"].isdecimal()


def test_the_tests_of_kafka_run_with_the_rights_of_the_platforms_user() -> None:
    rules = named("KafkaUser", secure_kafka.USER)["spec"]["authorization"]["acls"]
    rights = {
        (rule["resource"]["type"], rule["resource"]["name"], rule["resource"]["patternType"]): rule["operations"]
        for rule in rules
    }
    assert rights == secure_kafka.RIGHTS
