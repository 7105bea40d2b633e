"""What the commands share: the log that they read, and how they end."""
