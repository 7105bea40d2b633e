"""What people read of an incident afterwards.

The report, the follow-up tasks, the availability of a month.
"""
