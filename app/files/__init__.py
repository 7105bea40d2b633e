"""Files that people write for Tocsin: reading them, what is said of a bad one, and how a changed one comes into force."""
