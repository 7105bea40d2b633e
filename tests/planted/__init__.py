"""Bugs that people make, planted one at a time: the battery of tests has to catch each of them.

A bug is a patch, `NN-name.patch`; `patches` reads and applies it, `battery` runs the check that it
names. `make planted-bugs` runs them all, and docs/PLANTED.md lists them.
"""
