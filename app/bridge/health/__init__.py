"""What the bridge says of Tocsin's own health."""
