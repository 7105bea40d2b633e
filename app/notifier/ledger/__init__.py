"""Which delivery a receiver gets next, and what came of it. Pure."""
