"""The SparkApplication of the stream, for the spark-operator 2.4 or newer; pure.

Everything that Spark itself has no setting for is in the pod templates: those work whether the operator's webhook is
installed or not, and make the operator own the pods.
"""

from __future__ import annotations

from shopstream.config import ClusterConfig
from shopstream.pods.parts import (
    DRIVER_ACCOUNT,
    GROUP,
    JOB_ACCOUNT,
    PART_OF,
    VERSION,
    Manifest,
    container_security,
    job_variables,
    mounts,
    pod_security,
    settings,
    variables,
    volumes,
)
from shopstream.resources import Resources

NAME = "shopstream-stream"

# As the operator names it: the same for every driver, so that Kubernetes itself lets no two exist at once.
DRIVER_POD = f"{NAME}-driver"
PODS = f"sparkoperator.k8s.io/app-name={NAME}"
DRIVER_ROLE, EXECUTOR_ROLE = "driver", "executor"

# Names of Spark's own, which it finds the containers of a template by.
DRIVER_CONTAINER, EXECUTOR_CONTAINER = "spark-kubernetes-driver", "spark-kubernetes-executor"

MAIN = "local:///opt/shopstream/spark_jobs/jobs/stream.py"
SPARK_VERSION = "4.2.0"
DRIVER_PORT = 7078
UI_PORT = 4040

# Term of the lease that keeps a driver on a node that does not answer from writing beside its successor.
LEASE_SECONDS = 30

# From one submission to the next, times the number of attempts. A driver that has run for longer is restarted at once;
# one that failed while starting leaves its pod, and its log, for so long.
RETRY_SECONDS = 60

_LOGGING = "-Dlog4j2.configurationFile=file:///opt/shopstream/spark_jobs/log4j2.properties"

# The driver is a JVM with the application, a Python process, as its child. Told to end, the JVM drops the micro-batch.
# So Python is told first, and the JVM ends with it.
_FINISH = r"""
for one in /proc/[0-9]*; do
  line=$(tr '\0' ' ' <"$one/cmdline") || continue
  case "${line%% *}" in *python*) ;; *) continue ;; esac
  case "$line" in */spark_jobs/jobs/stream.py*) kill -TERM "${one#/proc/}" && stream=$one ;; esac
done 2>/dev/null
while [ -n "$stream" ] && [ -d "$stream" ]; do sleep 0.5; done
"""


def spark_application(config: ClusterConfig, config_hash: str, stop_seconds: int) -> Manifest:
    """Return the SparkApplication.

    Args:
        config: Image, namespace, resources.
        config_hash: Fingerprint that the driver reports with its heartbeat.
        stop_seconds: Time that the driver has to finish its micro-batch.
    """
    driver, executor = config.resources_of("stream_driver"), config.resources_of("stream_executor")
    return {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": "SparkApplication",
        "metadata": {
            "name": NAME,
            "namespace": config.namespace,
            "labels": PART_OF,
            "annotations": {"shopstream/config-hash": config_hash, "shopstream/image": config.spark_image},
        },
        "spec": {
            "type": "Python",
            "mode": "cluster",
            "sparkVersion": SPARK_VERSION,
            "image": config.spark_image,
            "imagePullPolicy": config.pull_policy,
            "mainApplicationFile": MAIN,
            "sparkConf": _spark_conf(),
            # Without intervals the operator never tries again.
            "restartPolicy": {
                "type": "Always",
                "onFailureRetryInterval": RETRY_SECONDS,
                "onSubmissionFailureRetryInterval": RETRY_SECONDS,
            },
            "driver": {
                **_sizes(driver),
                "serviceAccount": DRIVER_ACCOUNT,
                "labels": PART_OF | {"app.kubernetes.io/component": "stream-driver"},
                "javaOptions": _LOGGING,
                "template": _driver_template(driver, config_hash, stop_seconds),
            },
            "executor": {
                **_sizes(executor),
                "instances": config.executors,
                "serviceAccount": JOB_ACCOUNT,
                "labels": PART_OF | {"app.kubernetes.io/component": "stream-executor"},
                "javaOptions": _LOGGING,
                "template": _executor_template(),
            },
        },
    }


def _spark_conf() -> dict[str, str]:
    return {
        # Metrics in Prometheus' format, served beside the driver's UI; the executors' at /metrics/executors/prometheus.
        "spark.ui.prometheus.enabled": "true",
        "spark.metrics.conf.*.sink.prometheusServlet.class": "org.apache.spark.metrics.sink.PrometheusServlet",
        "spark.metrics.conf.*.sink.prometheusServlet.path": "/metrics/prometheus",
        "spark.sql.streaming.metricsEnabled": "true",
        # Names that stay the same from driver to driver.
        "spark.metrics.namespace": NAME.replace("-", "_"),
    }


def _sizes(resources: Resources) -> Manifest:
    return {
        "cores": resources.cores,
        "coreRequest": resources.cpu,
        "coreLimit": str(resources.cores),
        # Spark adds the two for request and limit.
        "memory": f"{resources.heap_mb}m",
        "memoryOverhead": f"{resources.memory_mb - resources.heap_mb}m",
    }


def _driver_template(resources: Resources, config_hash: str, stop_seconds: int) -> Manifest:
    values = {
        # Spark's session takes the master that it is told; how to reach the API the driver knows from its submission.
        **job_variables(resources, "k8s://https://kubernetes.default.svc"),
        "SHOPSTREAM_CONFIG_HASH": config_hash,
        "SHOPSTREAM_STREAM_LEASE_SECONDS": str(LEASE_SECONDS),
    }
    # Spark mounts an empty folder of its own for blocks.
    del values["SPARK_LOCAL_DIRS"]
    return {
        "metadata": {
            "annotations": {
                "prometheus.io/scrape": "true",
                "prometheus.io/port": str(UI_PORT),
                "prometheus.io/path": "/metrics/prometheus",
            }
        },
        "spec": {
            "securityContext": pod_security(),
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": stop_seconds,
            "volumes": volumes("tmp"),
            "containers": [
                {
                    "name": DRIVER_CONTAINER,
                    "envFrom": settings(),
                    "env": variables(values),
                    "securityContext": container_security(),
                    "volumeMounts": mounts(tmp="/tmp"),  # noqa: S108
                    # Whether executors find it. Whether it works is judged by its heartbeat.
                    "readinessProbe": {"tcpSocket": {"port": DRIVER_PORT}, "periodSeconds": 10, "failureThreshold": 6},
                    "lifecycle": {"preStop": {"exec": {"command": ["sh", "-c", _FINISH]}}},
                }
            ],
        },
    }


def _executor_template() -> Manifest:
    return {
        "spec": {
            "securityContext": pod_security(),
            "enableServiceLinks": False,
            "automountServiceAccountToken": False,
            # The state of the stream is written by executors, next to the driver's part of the checkpoint.
            "volumes": volumes("tmp"),
            "containers": [
                {
                    "name": EXECUTOR_CONTAINER,
                    "env": variables({"HOME": "/tmp"}, secret=False),  # noqa: S108
                    "securityContext": container_security(),
                    "volumeMounts": mounts(tmp="/tmp"),  # noqa: S108
                }
            ],
        }
    }
