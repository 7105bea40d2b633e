"""HTTP connections to receivers, and which addresses they may have."""
