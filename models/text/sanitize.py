"""Other people's texts, made so that nothing in them is obeyed by what shows them: a terminal, a log, a mail, a shell.

What is replaced is what Python does not call printable: control characters, with which a terminal
is driven (escapes, the C1 set, line ends), and characters that are not shown and change how others
are (changes of direction, zero width, tags).
"""

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def inert(text: str) -> str:
    """The text on one line, with everything replaced, sign by sign, that is not shown as itself."""
    return (
        text
        if text.isprintable()
        else "".join(sign if sign.isprintable() else REPLACEMENT for sign in text)
    )


def inert_lines(text: str) -> str:
    """The same for a text of ours that has lines."""
    return "\n".join(inert(line) for line in text.split("\n"))


def inert_word(text: str) -> str:
    """The text for a place where a command has a word.

    It is no option there. Quoting it for the shell is the caller's.
    """
    word = inert(text)
    return f"{REPLACEMENT}{word[1:]}" if word.startswith("-") else word
