"""Alerts: what is a repeat, what is news, when one expires, which incident it belongs to."""
