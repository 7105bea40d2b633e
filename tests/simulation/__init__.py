"""Tocsin's real worker, engine and checkpoints in a world that breaks: one seed, one run, always the same.

`world` has the virtual time, the brokers and the processes; `group` shares the partitions among the
workers; `plan` draws what happens; `run` lets it happen; `check` says what must be true afterwards.
`make simulate SEEDS=10000` runs many, and `python -m tests.simulation --seed N` runs one.
"""
