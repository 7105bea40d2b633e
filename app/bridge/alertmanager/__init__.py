"""Alertmanager's API: alerts, groups, receivers, silences."""
