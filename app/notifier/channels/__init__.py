"""The channels: a module each, with its settings, `make` and a class that sends."""
