"""Local servers that behave as the services that Tocsin notifies through, and misbehave on purpose."""
