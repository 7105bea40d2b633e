"""What operators do with a running Tocsin from the command line: over HTTP, by way of its bridge."""
