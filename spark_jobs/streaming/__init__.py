"""The streaming application: Kafka records in, live analytics out."""
