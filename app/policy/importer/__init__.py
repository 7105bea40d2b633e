"""An Alertmanager configuration becomes a policy, and what is not carried over is told."""
