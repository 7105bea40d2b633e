"""A recorded journal, fed to the same engine again.

To verify what was said, to keep it, and to look at it elsewhere.
"""
