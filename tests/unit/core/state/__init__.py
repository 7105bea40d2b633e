"""Tests of core/state."""
