"""A number of things in words."""


def plural(number: int, what: str) -> str:
    """`1 alert`, `2 alerts`."""
    return f"{number} {what}{'' if number == 1 else 's'}"
