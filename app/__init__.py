"""Tocsin's program: the pure core, its support, and the edges around it."""
