"""Who may ask what, and how much of a body is read."""
