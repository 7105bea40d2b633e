"""What people read of an incident afterwards: the report, the follow-up tasks, the availability of a month."""
