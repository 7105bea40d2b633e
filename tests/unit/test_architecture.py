"""The shape of the code.

Imports point down, the core touches nothing outside, functions and modules stay small.
"""

import ast
import re
from functools import cache
from importlib.metadata import distributions
from pathlib import Path

import pytest

from app.core.state.timer_kind import TimerKind

ROOT = Path(__file__).parents[2]
MODULES = sorted(
    path for folder in ("models", "app", "agents") for path in (ROOT / folder).rglob("*.py")
)
TESTS = sorted((ROOT / "tests").rglob("*.py"))
FUNCTION_LINES = 80
MODULE_LINES = {True: 700, False: 550}
FORBIDDEN_IN_CORE = {
    "time",
    "random",
    "uuid",
    "logging",
    "asyncio",
    "os",
    "io",
    "pathlib",
    "faust",
    "aiohttp",
    "secrets",
}

# The layers, lowest first. A module may import from its own layer and from those below.
SUPPORT = (
    "app.clock",
    "app.files",
    "app.intake",
    "app.logs",
    "app.memory",
    "app.metrics",
    "app.settings",
    "app.terminal",
    "app.transport",
)
QUESTIONS = ("app.demo", "app.explain", "app.policy", "app.replay", "app.report", "app.whatif")
LAYERS = (
    ("models",),
    ("app.core",),
    SUPPORT,
    ("app.history",),
    ("app.worker",),
    ("agents",),
    QUESTIONS,
    ("app.render",),
    ("app.notifier",),
    ("app.bridge",),
    ("app.web", "app.doctor"),
    ("app.factory",),
    ("app.cli", "app"),
)
CORE = ROOT / "app" / "core"


def _name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def _layer(module: str) -> int:
    for number, prefixes in enumerate(LAYERS):
        if any(module == prefix or module.startswith(f"{prefix}.") for prefix in prefixes):
            return number
    return len(LAYERS)


@cache
def _nodes(path: Path) -> list[ast.AST]:
    return list(ast.walk(ast.parse(path.read_text())))


@cache
def _imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in _nodes(path):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {
                f"{node.module}.{alias.name}"
                if node.module in ("app", "agents", "app.core") or node.module.startswith("tests")
                else node.module
                for alias in node.names
            }
    return found


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_imports_point_down(path: Path) -> None:
    """A module imports from its own layer and from those below (LAYERS)."""
    ours = {name for name in _imports(path) if name.split(".")[0] in ("models", "app", "agents")}

    up = {name for name in ours if _layer(name) > _layer(_name(path))}
    assert not up, f"{_name(path)} imports from above: move what it needs down, or itself up"


ASKED_OF_HISTORY = ("app.explain", "app.history", "app.replay", "app.report", "app.whatif")


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_only_the_command_line_parses_and_draws(path: Path) -> None:
    """argparse lives in app/cli; what answers questions about history returns values."""
    name, imports = _name(path), {module.split(".")[0] for module in _imports(path)}

    assert "argparse" not in imports or name.startswith("app.cli")
    assert "rich" not in imports or not name.startswith(ASKED_OF_HISTORY)


@pytest.mark.parametrize("path", [path for path in MODULES if _layer(_name(path)) <= 1], ids=_name)
def test_the_core_is_pure(path: Path) -> None:
    """No clock, randomness, logging or I/O where decisions are made.

    Time is an argument, effects are returned.
    """
    outside = {name for name in _imports(path) if name.split(".")[0] in FORBIDDEN_IN_CORE}

    assert not outside, f"{_name(path)} touches the outside: hand it in as a value"


def test_no_test_module_is_imported() -> None:
    """What tests share stands in `tests/support/`, or beside them in a module that has no tests."""
    edges = {
        (_name(path), imported)
        for path in TESTS
        for imported in _imports(path) | _named_in_texts(path)
        if re.search(r"^tests\.(?:\w+\.)*test_\w+$", imported)
    }

    assert edges == set(), "move what they share into tests/support, named by the thing"


def _named_in_texts(path: Path) -> set[str]:
    """Modules that a program in a text imports, as one for another process does."""
    texts = (
        node.value
        for node in _nodes(path)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )
    return {name for text in texts for name in re.findall(r"(?:from|import) (tests\.[\w.]+)", text)}


@pytest.mark.parametrize("path", MODULES + TESTS, ids=_name)
def test_small_enough_to_read(path: Path) -> None:
    """One screen a function, a few a module."""
    text = path.read_text()
    functions = [
        node for node in _nodes(path) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]

    long = [
        node.name for node in functions if (node.end_lineno or 0) - node.lineno >= FUNCTION_LINES
    ]
    assert not long, f"split {long} of {_name(path)}: the parent decides, helpers compute"
    limit = MODULE_LINES[path in TESTS]
    assert text.count("\n") <= limit, f"split {_name(path)} by idea"


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_a_name_is_that_of_the_thing(path: Path) -> None:
    """A variable that is called `one` says nothing of what it is."""
    bound = [
        node.lineno
        for node in _nodes(path)
        if (isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id == "one")
        or (isinstance(node, ast.arg) and node.arg == "one")
    ]

    assert not bound, f"{_name(path)}, line {bound}: name it by its noun"


@pytest.mark.parametrize(
    "path", [path for path in MODULES + TESTS if path.name == "__init__.py"], ids=_name
)
def test_packages_are_docstrings(path: Path) -> None:
    """A package's `__init__.py` says what it is for, and does nothing."""
    body = ast.parse(path.read_text()).body

    assert [type(node) for node in body] == [ast.Expr], f"{path} has to be a docstring only"


def test_every_folder_has_a_place_in_the_document() -> None:
    """docs/ARCHITECTURE.md names each folder of the code, and none that is not there."""
    text = (ROOT / "docs" / "ARCHITECTURE.md").read_text()
    named = set(re.findall(r"^\| `([\w/]+)/` \|", text, re.MULTILINE))
    folders = {str(path.relative_to(ROOT).parent) for path in MODULES if path.name == "__init__.py"}

    assert named == folders


def test_the_order_of_one_millisecond_is_in_the_document() -> None:
    """docs/ARCHITECTURE.md has the kinds of timers in the order in which they are handled."""
    text = (ROOT / "docs" / "ARCHITECTURE.md").read_text()

    kinds = re.findall(r"^\| `([A-Z_]+)` \|", text, re.MULTILINE)
    assert kinds == [kind.name for kind in sorted(TimerKind)]


@pytest.mark.parametrize("house", ["core", "bridge", "notifier"])
def test_rooms_have_no_cycle(house: str) -> None:
    """Each room may be changed with only those in mind that it imports from."""
    edges: dict[str, set[str]] = {}
    for path in (ROOT / "app" / house).glob("*/*.py"):
        room = path.parent.name
        for module in _imports(path):
            parts = module.split(".")
            is_room = parts[:2] == ["app", house] and (ROOT / Path(*parts[:3])).is_dir()
            if is_room and len(parts) > 2 and parts[2] != room:
                edges.setdefault(room, set()).add(parts[2])

    both = {(a, b) for a, others in edges.items() for b in others if a in edges.get(b, ())}
    assert edges, "nothing was compared"
    assert both == set(), "two rooms need each other: move what both need down"


def test_nobody_else_ships_our_names() -> None:
    """The import names are generic, so another distribution with one of them would break Tocsin."""
    others = {
        dist.metadata["Name"]
        for dist in distributions()
        if dist.metadata["Name"] != "tocsin"
        for file in dist.files or ()
        if file.parts[0] in ("app", "agents", "models") and len(file.parts) > 1
    }

    assert others == set(), (
        f"{others} ship a top-level app, agents or models: install Tocsin without them"
    )
