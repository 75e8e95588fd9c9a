"""Creates one Kafka topic unless it exists. Runs in Airflow's environment, which has a Kafka client.

Usage: python -m embedded.topic SERVERS TOPIC PARTITIONS
"""

from __future__ import annotations

import sys

from kafka import KafkaAdminClient
from kafka.admin import NewTopic
from kafka.errors import TopicAlreadyExistsError


def main(servers: str, topic: str, partitions: str) -> None:
    """Create `topic`; an existing one stays as it is."""
    client = KafkaAdminClient(bootstrap_servers=servers.split(","))
    try:
        # Replication -1: the broker's default.
        client.create_topics([NewTopic(topic, int(partitions), -1)])
    except TopicAlreadyExistsError:
        pass
    finally:
        client.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
