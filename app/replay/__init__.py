"""A recorded journal, fed to the same engine again: to verify what was said, and to see what another policy would have said."""
