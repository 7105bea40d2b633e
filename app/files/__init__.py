"""Files that people write for Tocsin.

Reading them, what is said of a bad one, and how a changed one comes into force.
"""
