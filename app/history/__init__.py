"""History: the read side. Which state held at an offset, which policy, which records and effects."""
