"""Texts, bytes and times: how they are read, shortened, quoted and written."""
