"""Response: escalation, acknowledgement, service levels, reminders and follow-ups."""
