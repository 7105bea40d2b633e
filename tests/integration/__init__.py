"""Tests on servers of somebody else's: a real Kafka, Prometheus and Alertmanager."""
