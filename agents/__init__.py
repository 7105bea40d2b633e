"""Faust agents. They move messages and decide nothing."""
