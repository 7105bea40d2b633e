"""State: what the engine keeps, how it is changed and restored, and what a turn may do."""
