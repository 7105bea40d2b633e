"""Tests of app/core/notification."""
