"""Faults on purpose, on the real Kafka and the embedded journal.

Nothing lost, nothing repeated (docs/RELIABILITY.md).
"""
