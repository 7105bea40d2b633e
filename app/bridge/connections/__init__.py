"""HTTP itself: connections, their limits, and what is said when something is wrong."""
