"""Why.

The chain from an effect or an incident back to the records, rules and timers that caused it, and
the reverse.
"""
