"""Where records live and how they reach the agents.

A log on Kafka or SQLite, and Faust transports over it.
"""
