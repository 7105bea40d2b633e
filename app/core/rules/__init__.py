"""Rules: the compiled policy, and how rules are identified."""
