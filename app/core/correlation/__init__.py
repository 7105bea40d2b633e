"""Correlation: windows and sequences that look across alerts and components, and the signals between actors."""
