"""What a message says: its words, its templates, its links, and texts that are inert and short enough."""
