"""Incidents: operators' commands, resolution, runbooks, availability."""
