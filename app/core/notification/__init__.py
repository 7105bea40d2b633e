"""Notification: when somebody is notified, who, and how often."""
