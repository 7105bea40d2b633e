"""Whether a shell would run what stands for a placeholder: where a quoted value is no longer one word.

A value is put in with quotes of its own. That is safe where a shell reads words, and nowhere else: not
in quotes, not in a here-document, not where it calculates or expands a variable, and not in what a
second shell reads again. What is not certain counts as dangerous. Source: POSIX, Shell Command
Language, 2.2 to 2.7; bash(1), "Arithmetic Evaluation" and "Conditional Expressions".
"""

import re
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import takewhile

_PLACE = "\0"  # stands for a placeholder
SHELLS = frozenset({"sh", "ash", "bash", "dash", "fish", "ksh", "mksh", "zsh", "su", "runuser"})
# They read their arguments as a shell does, or give them to one.
READERS = frozenset({"eval", "trap", "alias", "source", ".", "let", "declare", "typeset", "local"})
READERS |= {"watch", "parallel", "rsh", "pssh", "pdsh", "script"}
REMOTE = frozenset({"ssh", "autossh", "mosh"})
_REMOTE_VALUES = frozenset("BbcDEeFIiJLlmOopQRSWw")  # options of ssh with a value behind them
_LATE_OPTIONS = frozenset({"su", "runuser"})  # they take options behind a user's name
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")
_SEPARATORS = ";&|\n()"


class _Context(StrEnum):
    """What a text within a command is read as; the value is how a message names it."""

    COMMAND = "a command"
    DOUBLE = "quotes"
    EXPANSION = "${...}"
    ARITHMETIC = "an arithmetic expression"
    TEST = "[[ ... ]]"


_ENDS = {
    _Context.DOUBLE: '"',
    _Context.EXPANSION: "}",
    _Context.ARITHMETIC: ")",
    _Context.COMMAND: ")",
}


@dataclass(slots=True)
class _Frame:
    """A context that is open. A command has the words of the simple command that is being read."""

    context: _Context
    depth: int = 0  # of brackets
    brackets: str = "()"  # that are counted
    words: list[str] = field(default_factory=lambda: [""])
    has_value: bool = False  # whether a value was in it so far
    is_piped: bool = False  # whether this simple command reads what the one before writes

    def end_word(self) -> None:
        if self.words[-1]:
            self.words.append("")

    def end_command(self, separator: str) -> str:
        """What is wrong with the simple command that ends here."""
        words = [word for word in self.words if word]
        self.words = [""]
        if not words and separator in "&\n":
            return ""  # `|&`, or a line that ends with a pipe
        runs_input = self.is_piped and self.has_value and _reads_commands(words)
        self.is_piped = separator == "|"
        return "the input of a shell" if runs_input else ""


def shell_danger(command: str, placeholder: re.Pattern[str]) -> str:
    """Why a command is refused, as the end of a sentence; empty for one that is safe."""
    text = placeholder.sub(_PLACE, command.replace(_PLACE, ""))
    where, ended = _Reader(text).read()
    if where == _Context.DOUBLE:
        return "must have placeholders outside quotes: values bring their own quotes"
    if where:
        return f"has a placeholder in {where}, where a shell would run what a label says"
    return "" if ended else "which has a quote or a bracket that does not end"


class _Reader:
    """Reads a command once, from left to right."""

    def __init__(self, text: str) -> None:
        self._text, self._at = text, 0
        self._frames = [_Frame(_Context.COMMAND)]
        self._in_document = False  # a here-document has begun

    def read(self) -> tuple[str, bool]:
        """Where a value would be run, empty if nowhere, and whether all that begins ends."""
        while self._at < len(self._text):
            danger = self._step()
            if danger is None:
                return "", False
            if danger:
                return danger, True
        if len(self._frames) > 1:
            return "", False
        return self._frames[0].end_command(""), True

    def _step(self) -> str | None:
        """Read on; what is dangerous, and None where a quote does not end."""
        frame, sign = self._frames[-1], self._text[self._at]
        if sign == _PLACE:
            self._at += 1
            return self._place_danger()
        if sign == "\\" and self._text[self._at + 1 : self._at + 2] != _PLACE:
            frame.words[-1] += self._text[self._at + 1 : self._at + 2]
            self._at += 2
            return ""
        if sign == "\\":
            return "quotes"  # the backslash would take the quote of the value
        if sign == "'" and frame.context is not _Context.DOUBLE:
            return self._skip_quoted("'", frame)
        if sign == "`":
            return self._skip_quoted("`", frame)
        if self._opens_context(frame):
            return ""
        if frame.context is _Context.COMMAND:
            return self._step_command(frame)
        return self._step_other(frame, sign)

    def _skip_quoted(self, quote: str, frame: _Frame) -> str | None:
        end = self._text.find(quote, self._at + 1)
        if end < 0:
            return None
        inner = self._text[self._at + 1 : end]
        self._at = end + 1
        frame.words[-1] += inner or " "
        return str(_Context.DOUBLE) if _PLACE in inner else ""

    def _opens_context(self, frame: _Frame) -> bool:
        """Begin what is read differently from what is around it."""
        text, at = self._text, self._at
        openings = [("$((", _Context.ARITHMETIC), ("$[", _Context.ARITHMETIC)]
        openings += [("${", _Context.EXPANSION), ("$(", _Context.COMMAND)]
        if frame.context is _Context.COMMAND:
            openings += [("((", _Context.ARITHMETIC), ("[[ ", _Context.TEST)]
            openings += [("<(", _Context.COMMAND), (">(", _Context.COMMAND)]
        if frame.context is not _Context.DOUBLE:
            openings.append(('"', _Context.DOUBLE))
        for opening, context in openings:
            if text.startswith(opening, at):
                self._at += len(opening)
                brackets = "[]" if opening == "$[" else "()"
                depth = opening.count(brackets[0])
                self._frames.append(_Frame(context, depth, brackets))
                return True
        return False

    def _step_command(self, frame: _Frame) -> str:
        text, sign = self._text, self._text[self._at]
        is_nested = len(self._frames) > 1
        if text.startswith("<<<", self._at):
            self._at += 3
            frame.end_word()
            frame.is_piped = True
            runs = _reads_commands([word for word in frame.words if word])
            return "the input of a shell" if runs and _PLACE in text[self._at :] else ""
        if text.startswith("<<", self._at):
            self._at += 2
            self._in_document = True
            return ""
        self._at += 1
        if sign == ")" and is_nested and frame.depth <= 1:
            self._frames.pop()
            return frame.end_command("")
        if sign in _SEPARATORS:
            frame.depth += {"(": 1, ")": -1}.get(sign, 0)
            is_or = text.startswith("||", self._at - 1) or text[self._at - 2 : self._at] == "||"
            return frame.end_command(";" if is_or else sign)
        if sign.isspace():
            frame.end_word()
        else:
            frame.words[-1] += sign
        return ""

    def _step_other(self, frame: _Frame, sign: str) -> str:
        self._at += 1
        if frame.context is _Context.TEST:
            if self._text.startswith("]]", self._at - 1):
                self._at += 1
                self._frames.pop()
        elif frame.context is _Context.ARITHMETIC:
            frame.depth += (sign == frame.brackets[0]) - (sign == frame.brackets[1])
            if frame.depth <= 0:
                self._frames.pop()
        elif sign == _ENDS[frame.context]:
            self._frames.pop()
            self._frames[-1].words[-1] += "x"  # it is a word, whatever is in it
        return ""

    def _place_danger(self) -> str:
        if self._in_document:
            return "a here-document"
        contexts = [frame.context for frame in self._frames]
        for context in reversed(contexts):
            if context is not _Context.COMMAND:
                return str(context)
        for frame in self._frames:
            words, frame.has_value = [word for word in frame.words[:-1] if word], True
            is_inner = frame is self._frames[-1]
            danger = _argument_danger(words, frame.words[-1], is_inner=is_inner)
            if danger:
                return danger
        self._frames[-1].words[-1] += "x"
        return ""


def _argument_danger(words: list[str], word: str, *, is_inner: bool) -> str:
    """Why a value, or what a command makes of it, may not stand behind these words of a command."""
    commands = [item for item in words if not _ASSIGNMENT.match(item)]
    if not commands and not word:
        return "the place of a command"
    names = [command.rpartition("/")[2] for command in commands]
    for number, name in enumerate(names):
        rest = [*commands[number + 1 :], word]
        options = rest if name in _LATE_OPTIONS else list(takewhile(_is_option, rest))
        if name in READERS:
            return f"an argument of {name}"
        if name in SHELLS and any(_is_command_option(option) for option in options):
            return f"an argument of {name} -c"
        if name in REMOTE and _has_host(rest[:-1]):
            return f"what {name} runs"
        if not is_inner and _reads_commands([name, *rest[:-1]]):
            return f"what {name} reads"
    return ""


def _is_option(word: str) -> bool:
    return word.startswith("-")


def _is_command_option(word: str) -> bool:
    return word.startswith("--c") or (word[:1] == "-" and word[1:2] != "-" and "c" in word)


def _has_host(words: list[str]) -> bool:
    """Whether the words behind ssh have its host, so that what follows is a command."""
    has_value = False
    for word in words:
        if has_value:
            has_value = False
        elif word.startswith("-") and len(word) > 1:
            has_value = len(word) == 2 and word[1] in _REMOTE_VALUES
        else:
            return True
    return False


def _reads_commands(words: list[str]) -> bool:
    """Whether a simple command runs what it reads: a shell without a script of its own."""
    names = [word.rpartition("/")[2] for word in words]
    return any(
        name in REMOTE
        or name in ("source", ".")
        or (name in SHELLS and all(_is_option(word) for word in words[number + 1 :]))
        for number, name in enumerate(names)
    )
