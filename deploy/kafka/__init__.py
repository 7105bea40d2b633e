"""An Apache Kafka for developers and tests."""
