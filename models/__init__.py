"""The nouns: alerts, incidents, effects, journal records, topics, policy. No clock, no I/O."""
