"""HTTP in: Prometheus, Alertmanager, generic JSON and operators' commands, into the journal."""
