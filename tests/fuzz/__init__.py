"""Whatever bytes come in, no parser raises what is not ours: each parser's property, for hypothesis and for atheris.

`properties` has them, by the name of the parser; `seeds` has what they begin with.
`test_properties.py` tries them with hypothesis in every test run; `python -m tests.fuzz` (`make
fuzz`) with atheris, for as long as it is given.
"""
