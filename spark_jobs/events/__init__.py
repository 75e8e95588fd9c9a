"""Event files: reading them, sending them to Kafka, deriving dimensions from them."""
