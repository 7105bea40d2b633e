"""The oracle.

The same meaning as the engine's, written from the documentation in the slowest and plainest way.
"""
