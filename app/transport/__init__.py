"""Where records live and how they reach the agents: a log on Kafka or SQLite, and Faust transports over it."""
