"""Files and programs to run Tocsin with.

Kafka for developers and tests, configurations for compose.
"""
