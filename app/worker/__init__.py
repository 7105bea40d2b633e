"""The worker.

Owns journal partitions, brings their engines to where they were, and makes what they decide
durable.
"""
