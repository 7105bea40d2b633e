"""Alerts in the shapes of others: PagerDuty, webhooks, CloudEvents, heartbeats by URL."""
