"""The shape of the code: imports point down, the core touches nothing outside, functions and modules stay small."""

import ast
import re
from importlib.metadata import distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MODULES = sorted(path for folder in ("models", "app", "agents") for path in (ROOT / folder).rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
FUNCTION_LINES, MODULE_LINES = 50, 500
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

# The layers, lowest first; a module may import from its own layer and from those below.
SUPPORT = (
    "app.clock",
    "app.command_line",
    "app.files",
    "app.intake",
    "app.logs",
    "app.memory",
    "app.metrics",
    "app.settings",
    "app.transport",
    "app.worker",
)
EDGES = ("app.bridge", "app.demo", "app.operating", "app.report")
LAYERS = (
    ("models",),
    ("app.core",),
    SUPPORT,
    ("agents",),
    EDGES,
    ("app.replay", "app.whatif", "app.explain", "app.policy"),
    ("app.main",),
    ("app",),
)


def _name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def _layer(module: str) -> int:
    for number, prefixes in enumerate(LAYERS):
        if any(module == prefix or module.startswith(f"{prefix}.") for prefix in prefixes):
            return number
    return len(LAYERS)


def _imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {
                f"{node.module}.{alias.name}" if node.module in ("app", "agents") else node.module
                for alias in node.names
            }
    return found


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_imports_point_down(path: Path) -> None:
    """models <- app.core <- support <- agents <- edges <- replay, whatif, explain, policy <- app.main <- the command line."""
    ours = {name for name in _imports(path) if name.split(".")[0] in ("models", "app", "agents")}

    up = {name for name in ours if _layer(name) > _layer(_name(path))}
    assert not up, f"{_name(path)} imports from above: move what it needs down, or itself up"


@pytest.mark.parametrize("path", [path for path in MODULES if _layer(_name(path)) <= 1], ids=_name)
def test_the_core_is_pure(path: Path) -> None:
    """No clock, randomness, logging or I/O where decisions are made: time is an argument, effects are returned."""
    outside = {name for name in _imports(path) if name.split(".")[0] in FORBIDDEN_IN_CORE}

    assert not outside, f"{_name(path)} touches the outside: hand it in as a value"


@pytest.mark.parametrize("path", MODULES + TESTS, ids=_name)
def test_small_enough_to_read(path: Path) -> None:
    """One screen a function, a few a module."""
    text = path.read_text()
    functions = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]

    long = [node.name for node in functions if (node.end_lineno or 0) - node.lineno >= FUNCTION_LINES]
    assert not long, f"split {long} of {_name(path)}: the parent decides, helpers compute"
    assert text.count("\n") <= MODULE_LINES, f"split {_name(path)} by idea"


@pytest.mark.parametrize("path", [path for path in MODULES + TESTS if path.name == "__init__.py"], ids=_name)
def test_packages_are_docstrings(path: Path) -> None:
    """A package's `__init__.py` says what it is for, and does nothing."""
    body = ast.parse(path.read_text()).body

    assert [type(node) for node in body] == [ast.Expr], f"{path} has to be a docstring only"


def test_every_module_has_a_place_in_the_document() -> None:
    """docs/ARCHITECTURE.md names each module beside what it is for, and none that is not there."""
    named: list[str] = []
    for row in re.findall(r"^\|.*", (ROOT / "docs" / "ARCHITECTURE.md").read_text(), re.MULTILINE):
        folder = ""
        for name in re.findall(r"`([\w/]+\.py)`", row):
            folder = name.rpartition("/")[0] or folder
            named.append(f"{folder}/{name.rpartition('/')[2]}")

    modules = {str(path.relative_to(ROOT)) for path in MODULES if path.name != "__init__.py"}
    assert modules - set(named) == set(), "say in a table of docs/ARCHITECTURE.md what they are for"
    assert set(named) - modules == set(), "docs/ARCHITECTURE.md names what is not there"


def test_nobody_else_ships_our_names() -> None:
    """The import names are generic, so another distribution with one of them would break Tocsin."""
    others = {
        dist.metadata["Name"]
        for dist in distributions()
        if dist.metadata["Name"] != "tocsin"
        for file in dist.files or ()
        if file.parts[0] in ("app", "agents", "models") and len(file.parts) > 1
    }

    assert others == set(), f"{others} ship a top-level app, agents or models: install Tocsin without them"
