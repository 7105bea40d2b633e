"""Suppression: silences, inhibition and dependencies, and what keeps an incident quiet."""
