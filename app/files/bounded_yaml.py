"""YAML that may be anybody's: plain data of bounded size, depth and aliases, or the line of what is too much.

A kilobyte of YAML can stand for a billion values (aliases of aliases, merged mappings), and a file
of brackets takes PyYAML minutes; so what is read is counted while it is read. Nothing but what JSON
has, and dates, is taken: what comes out of here is kept as JSON.
"""

import math
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import yaml
from yaml.composer import Composer
from yaml.constructor import SafeConstructor
from yaml.resolver import Resolver

from models.policy.types import Where

DEPTH_MAX = 32  # the shipped policy has 6
ALIASES_MAX = 100
NODES_MAX = 50_000  # keys and values, aliases written out; the shipped policy has 1,141
CHARACTERS_MAX = 1024 * 1024  # of all of them
NUMBER_CHARACTERS_MAX = 64  # of what is not a text
MERGE = "tag:yaml.org,2002:merge"
NULL = "tag:yaml.org,2002:null"

_PLAIN = {f"tag:yaml.org,2002:{name}" for name in ("null", "bool", "int", "float", "timestamp")}
_TAGS = {MERGE, *(f"tag:yaml.org,2002:{name}" for name in ("str", "map", "seq")), *_PLAIN}
# libyaml is 18 times as fast, where PyYAML was built with it. What it refuses is read again by
# PyYAML's own parser, which says better what is wrong.
_QUICK: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_INTEGERS = range(-(2**63), 2**63)


class YamlRefused(Exception):
    """What is wrong with the text.

    `line` and `column` count from 1, and are 0 where the whole of it is meant.
    """

    def __init__(self, problem: str, mark: Any = None) -> None:
        super().__init__(problem)
        self.problem = problem
        self.line: int = mark.line + 1 if mark else 0
        self.column: int = mark.column + 1 if mark else 0


class FilePlace(NamedTuple):
    """Where something stands in the file; both count from 1."""

    line: int
    column: int


@dataclass(slots=True)
class Document:
    """What was read.

    Plain data, the place of each key, and the keys that stand again in a mapping; YAML takes the
    last.
    """

    data: Any = None
    places: dict[Where, FilePlace] = field(default_factory=dict)
    repeated: list[tuple[Where, FilePlace]] = field(default_factory=list)

    def place(self, where: Where) -> FilePlace:
        """The place of a key, or of the nearest one above it that the file has."""
        while where not in self.places and where:
            where = where[:-1]
        return self.places.get(where, FilePlace(1, 1))


def read_document(text: str, *, as_written: bool = False) -> Document:
    """The document in a text. Raises YamlRefused.

    `as_written` leaves numbers, dates and truth values the texts that they are in the file (`1:5`
    is 65 in YAML), as programs in Go take them where they want a text.
    """
    with suppress(UnicodeEncodeError, yaml.YAMLError):
        return _read(_QUICK(text), as_written=as_written)
    try:
        return _read(yaml.SafeLoader(text), as_written=as_written)
    except yaml.reader.ReaderError as error:
        raise YamlRefused(
            f"is not YAML: {error.reason} ({error.character!r:.20}) at character {error.position}"
        ) from None
    except yaml.MarkedYAMLError as error:
        raise YamlRefused(f"is not YAML: {error.problem}", error.problem_mark) from None


def _read(parser: Any, *, as_written: bool) -> Document:
    document, loader = Document(), _Loader(parser, as_written=as_written)
    node = loader.get_single_node()
    if node is not None:
        # Before merged mappings are put into one.
        document.repeated = list(_index_places(node, (), document.places))
        document.data = loader.construct_document(node)
    return document


def _index_places(
    node: Any, where: Where, places: dict[Where, FilePlace]
) -> Iterator[tuple[Where, FilePlace]]:
    """Fill `places` with the place of each key, and yield the keys that a mapping has again."""
    places.setdefault(where, _place_of(node))
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise YamlRefused("has a list or a map for a key, must be a text", key.start_mark)
            inner = (*where, key.value)
            if inner in places:
                yield inner, _place_of(key)
            places[inner] = _place_of(key)
            yield from _index_places(value, inner, places)
    elif isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            yield from _index_places(value, (*where, number), places)


def _place_of(node: Any) -> FilePlace:
    return FilePlace(node.start_mark.line + 1, node.start_mark.column + 1)


class _Loader(Composer, SafeConstructor, Resolver):
    """PyYAML's loader of what a parser finds, which counts while it composes."""

    def __init__(self, parser: Any, *, as_written: bool = False) -> None:
        Composer.__init__(self)
        SafeConstructor.__init__(self)
        Resolver.__init__(self)
        self.check_event = parser.check_event
        self.peek_event = parser.peek_event
        self.get_event = parser.get_event
        self._as_written = as_written
        self._depth = self._nodes = self._aliases = 0
        # Of each node that is whole, how many nodes and characters it is with its aliases written
        # out.
        self._sizes: dict[Any, tuple[int, int]] = {}

    def compose_node(self, parent: Any, index: Any) -> Any:
        """The next node. Raises YamlRefused."""
        mark = self.peek_event().start_mark
        if self.check_event(yaml.AliasEvent):
            return self._alias(super().compose_node(parent, index), mark)
        self._depth += 1
        self._nodes += 1
        if self._depth > DEPTH_MAX:
            raise YamlRefused(f"is nested more than {DEPTH_MAX} deep", mark)
        if self._nodes > NODES_MAX:
            raise YamlRefused(f"has more than {NODES_MAX} keys and values", mark)
        node = super().compose_node(parent, index)
        self._depth -= 1
        self._sizes[node] = self._size(node)
        return node

    def _alias(self, node: Any, mark: Any) -> Any:
        self._aliases += 1
        if self._aliases > ALIASES_MAX:
            raise YamlRefused(f"has more than {ALIASES_MAX} aliases", mark)
        if node not in self._sizes:
            raise YamlRefused("has an alias of what the alias is part of", mark)
        return node

    def _size(self, node: Any) -> tuple[int, int]:
        if node.tag not in _TAGS:
            node_size, known = (
                node.tag.replace("tag:yaml.org,2002:", "!!"),
                "text, number, true, false, null, date, list or map",
            )
            raise YamlRefused(
                f"has a value of the type {node_size:.60}, must be {known}", node.start_mark
            )
        if isinstance(node, yaml.ScalarNode):
            self._check_plain(node)
            return 1, len(node.value)
        parts = (
            node.value
            if isinstance(node, yaml.SequenceNode)
            else [part for pair in node.value for part in pair]
        )
        sizes = [self._sizes[part] for part in parts]
        nodes, characters = 1 + sum(size[0] for size in sizes), sum(size[1] for size in sizes)
        if nodes > NODES_MAX or characters > CHARACTERS_MAX:
            raise YamlRefused(
                f"has {nodes} keys and values of {characters} characters here when its aliases are written out, must have at "
                f"most {NODES_MAX} of {CHARACTERS_MAX}",
                node.start_mark,
            )
        return nodes, characters

    def _check_plain(self, node: Any) -> None:
        """Refuse numbers and dates that are none, or so long that reading them takes long."""
        if node.tag in _PLAIN and len(node.value) > NUMBER_CHARACTERS_MAX:
            long = f"has a number or date of {len(node.value)} characters"
            raise YamlRefused(f"{long}, must have at most {NUMBER_CHARACTERS_MAX}", node.start_mark)
        tag = self.resolve(yaml.ScalarNode, node.value, (True, False))  # type: ignore[no-untyped-call]  # as above
        if node.tag in _PLAIN and tag != node.tag:
            raise YamlRefused(
                f"is {node.value!r:.60}, which is not what it says it is", node.start_mark
            )

    def construct_object(self, node: Any, deep: bool = False) -> Any:  # noqa: FBT002  PyYAML's signature
        """The plain data of a node. Raises YamlRefused."""
        try:
            if self._as_written and isinstance(node, yaml.ScalarNode):
                value = None if node.tag == NULL else node.value
            else:
                value = super().construct_object(node, deep=deep)
        except ValueError as error:  # of a number or a date that is none
            raise YamlRefused(
                f"is {node.value!r:.60}, which is not what it looks like: {error}", node.start_mark
            ) from None
        if isinstance(value, str) and not _is_unicode(value):
            raise YamlRefused("has half of a surrogate pair, must be Unicode text", node.start_mark)
        if (isinstance(value, int) and value not in _INTEGERS) or (
            isinstance(value, float) and not math.isfinite(value)
        ):
            raise YamlRefused(
                f"is {node.value!r:.60}, must be a number of 64 bits", node.start_mark
            )
        return value


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
