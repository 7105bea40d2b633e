"""A policy as code: tested, explained, compared, drawn, and imported from an Alertmanager."""
