"""The demo: a bad day and a storm through a Tocsin of its own."""
