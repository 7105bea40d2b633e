"""A recorded journal, fed to the same engine again: to verify what was said, to keep it, and to look at it elsewhere."""
