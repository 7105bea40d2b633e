"""The way back: what people do in a chat, in a pager or by a link, as commands for the journal. Pure functions."""
