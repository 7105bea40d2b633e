"""Tests of core/correlation."""
