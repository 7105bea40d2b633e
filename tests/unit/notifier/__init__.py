"""Tests of the notifier and of its channels."""
