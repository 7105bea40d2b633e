"""The decisions.

Takes journal records, returns effects; never sends, waits, logs or looks at a clock.
"""
