"""What people do, by command, chat, link or pager, and what came of it."""
