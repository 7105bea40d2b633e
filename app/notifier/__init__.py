"""The notifier: it takes notifications from their topic, delivers them, and says what came of it."""
