"""Faults on purpose, on the real Kafka and the embedded journal: nothing lost, nothing repeated (docs/RELIABILITY.md)."""
