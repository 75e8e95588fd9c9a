# Shopstream's images, each with what it needs and no tool to build it:
#   airflow   the Airflow processes, dags/ and plugins/                                (Kubernetes, Compose)
#   spark     the jobs: PySpark with the Kafka and MongoDB connectors, a Java runtime  (Kubernetes)
#   local     airflow with the jobs beside it, for a scheduler that runs jobs itself   (Compose)
# Python packages come from the hashed locks, Java archives from jars/jars.lock. docs/images.md says more.
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

FROM ${PYTHON_IMAGE} AS base
# tini passes signals on and collects the processes that jobs leave behind.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends tini \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/apt /var/log/dpkg.log /var/cache/debconf/*-old

FROM base AS builder
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
COPY docker/requirements-build.txt /locks/
RUN python -m venv /opt/build \
 && /opt/build/bin/pip install --quiet --require-hashes --requirement /locks/requirements-build.txt
COPY --chmod=755 docker/install-lock /usr/local/bin/

FROM builder AS airflow-packages
COPY requirements.txt docker/requirements-server.txt /locks/
RUN install-lock /opt/venvs/airflow /locks/requirements.txt /locks/requirements-server.txt

FROM builder AS spark-packages
COPY requirements-spark.txt /locks/
RUN install-lock /opt/venvs/spark /locks/requirements-spark.txt

FROM base AS java
ARG JAVA_VERSION=17
RUN apt-get update && apt-get install --yes --no-install-recommends "openjdk-${JAVA_VERSION}-jdk-headless"
# A runtime of the modules that Spark, its connectors and the tools to look into a running JVM need, half as large as
# Debian's. jdk.naming.dns is for mongodb+srv://, jdk.security.auth for Hadoop's login, jdk.httpserver for metrics.
RUN jlink --output /opt/java --strip-java-debug-attributes --no-header-files --no-man-pages --add-modules \
java.se,jdk.charsets,jdk.crypto.ec,jdk.httpserver,jdk.incubator.vector,jdk.jcmd,jdk.jfr,jdk.management,\
jdk.management.agent,jdk.naming.dns,jdk.net,jdk.security.auth,jdk.security.jgss,jdk.unsupported,jdk.zipfs \
 && /opt/java/bin/java -Xshare:dump >/dev/null

FROM spark-packages AS spark-complete
COPY --from=java /opt/java /opt/java
COPY embedded /opt/shopstream/embedded
COPY jars /opt/shopstream/jars
COPY docker/fetch_jars.py /opt/shopstream/docker/
RUN PYTHONPATH=/opt/shopstream python /opt/shopstream/docker/fetch_jars.py /opt/venvs/spark /opt/java/bin/java

FROM base AS source
WORKDIR /opt/shopstream
COPY dags dags
COPY plugins plugins
COPY spark_jobs spark_jobs
COPY data data
COPY expectations expectations
RUN python -m compileall -q --invalidation-mode unchecked-hash .

FROM base AS airflow
RUN useradd --uid 50000 --gid 0 --home-dir /opt/airflow --no-create-home --shell /bin/bash airflow \
 && install --directory --owner 50000 --group 0 --mode 775 /opt/airflow /opt/airflow/logs /var/lib/shopstream
COPY --from=airflow-packages /opt/venvs/airflow /opt/venvs/airflow
# The name by which the official chart's probes call it.
COPY --chmod=755 docker/airflow-entrypoint /entrypoint
COPY --chmod=755 docker/airflow_health.py /usr/local/bin/airflow-health
COPY --from=source /opt/shopstream/dags /opt/shopstream/dags
COPY --from=source /opt/shopstream/plugins /opt/shopstream/plugins
ENV PATH=/opt/venvs/airflow/bin:$PATH \
    AIRFLOW_HOME=/opt/airflow \
    AIRFLOW__CORE__DAGS_FOLDER=/opt/shopstream/dags \
    AIRFLOW__CORE__PLUGINS_FOLDER=/opt/shopstream/plugins \
    AIRFLOW__CORE__LOAD_EXAMPLES=False \
    AIRFLOW__API__ENABLE_SWAGGER_UI=False \
    AIRFLOW__USAGE_DATA_COLLECTION__ENABLED=False \
    MALLOC_ARENA_MAX=2 \
    PYTHONUNBUFFERED=1
USER 50000:0
WORKDIR /opt/airflow
EXPOSE 8080
ENTRYPOINT ["/entrypoint"]
CMD ["airflow", "--help"]
# Kubernetes ignores this; its probes are in the chart's values.
HEALTHCHECK --interval=30s --timeout=10s --start-period=120s --retries=4 CMD ["airflow-health"]

FROM base AS spark
RUN useradd --system --uid 185 --gid 0 --home-dir /tmp --no-create-home --shell /bin/bash spark \
 && install --directory --owner 185 --group 0 --mode 775 /var/lib/shopstream
COPY --from=java /opt/java /opt/java
COPY --from=spark-complete /opt/venvs/spark /opt/venvs/spark
RUN ln -s "$(echo /opt/venvs/spark/lib/python3.*/site-packages/pyspark)" /opt/spark
COPY --chmod=755 docker/spark-entrypoint /opt/entrypoint.sh
COPY --from=source /opt/shopstream/spark_jobs /opt/shopstream/spark_jobs
COPY --from=source /opt/shopstream/data /opt/shopstream/data
COPY --from=source /opt/shopstream/expectations /opt/shopstream/expectations
# PYTHONSAFEPATH: neither the working directory nor a script's folder goes onto the module path, where
# spark_jobs/jobs/statistics.py would hide Python's own `statistics`.
ENV PATH=/opt/venvs/spark/bin:/opt/java/bin:$PATH \
    JAVA_HOME=/opt/java \
    SPARK_HOME=/opt/spark \
    PYSPARK_PYTHON=/opt/venvs/spark/bin/python \
    PYTHONPATH=/opt/shopstream \
    PYTHONSAFEPATH=1 \
    PYTHONUNBUFFERED=1 \
    SHOPSTREAM_DATA_DIR=/var/lib/shopstream \
    GX_ANALYTICS_ENABLED=false
USER 185:0
WORKDIR /tmp
ENTRYPOINT ["/opt/entrypoint.sh"]
CMD ["python", "-m", "spark_jobs.jobs.stream", "--help"]
# A job is judged by its exit status, the stream by its heartbeat in MongoDB, both by Airflow.
HEALTHCHECK NONE

FROM airflow AS local
USER root
COPY --from=java /opt/java /opt/java
COPY --from=spark-complete /opt/venvs/spark /opt/venvs/spark
COPY --from=source /opt/shopstream/spark_jobs /opt/shopstream/spark_jobs
COPY --from=source /opt/shopstream/data /opt/shopstream/data
COPY --from=source /opt/shopstream/expectations /opt/shopstream/expectations
ENV JAVA_HOME=/opt/java \
    SHOPSTREAM_RUNTIME=local \
    SHOPSTREAM_SPARK_PYTHON=/opt/venvs/spark/bin/python \
    SHOPSTREAM_HOME=/var/lib/shopstream \
    SHOPSTREAM_DATA_DIR=/var/lib/shopstream \
    GX_ANALYTICS_ENABLED=false
USER 50000:0
