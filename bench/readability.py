"""How the code and the documents read, in figures: `python -m bench.readability [FOLDER] [--json]`.

FOLDER is the root of a project, by default this one. The figures are the lengths of modules and
functions, the widest folder, names of functions that are a single word, the commonest names that are
bound, and in Markdown the share of sentences with more than 35 words. They follow no standard: they
compare two states of this project, or this project with another.
"""

import argparse
import ast
import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).parents[1]
CODE_FOLDERS = ("agents", "app", "models")
LINE_MAX = 100
SENTENCE_MAX = 35  # words
NAMES_SHOWN = 8
_CODE_BLOCK = re.compile(r"^(```.*?^```|    .*?$)", re.MULTILINE | re.DOTALL)
_TABLE_OR_HEADING = re.compile(r"^(\||#).*$", re.MULTILINE)
_LIST_ITEM = re.compile(r"^\s*([-*]|\d+\.) ", re.MULTILINE)
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n\s*\n")


def code_figures(root: Path) -> dict[str, Any]:
    """What the modules of the product look like."""
    paths = [path for folder in CODE_FOLDERS for path in sorted((root / folder).rglob("*.py"))]
    paths = paths or sorted(root.rglob("*.py"))
    texts = {path: path.read_text() for path in paths if path.name != "__init__.py"}
    nodes = [node for text in texts.values() for node in ast.walk(ast.parse(text))]
    functions = [node for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    names = [node.name.strip("_") for node in functions if not node.name.startswith("__")]
    modules = [len(text.splitlines()) for text in texts.values()]
    lengths = [(node.end_lineno or node.lineno) - node.lineno + 1 for node in functions]
    lines = [line for text in texts.values() for line in text.splitlines()]
    folder, width = Counter(path.parent for path in texts).most_common(1)[0]
    return {
        "module_lines": {"median": median(modules), "max": max(modules)},
        "function_lines": {"median": median(lengths), "max": max(lengths)},
        "widest_folder": {"path": str(folder.relative_to(root)), "modules": width},
        "single_word_functions": _share(sum("_" not in name for name in names), len(names)),
        "modules_ending_in_ing": sum(path.stem.endswith("ing") for path in texts),
        "modules": len(texts),
        "commonest_names": dict(Counter(_bound_names(nodes)).most_common(NAMES_SHOWN)),
        "long_lines": _share(sum(len(line) > LINE_MAX for line in lines), len(lines)),
    }


def document_figures(root: Path) -> dict[str, Any]:
    """How long the sentences of each document are."""
    paths = [root / "README.md", *sorted((root / "docs").glob("*.md"))]
    long_sentences = {}
    for path in paths:
        sentences = _sentences(path.read_text())
        long = sum(len(sentence.split()) > SENTENCE_MAX for sentence in sentences)
        long_sentences[path.name] = _share(long, len(sentences))
    return {
        "readme_words": len(paths[0].read_text().split()),
        "long_sentences": long_sentences,
    }


def _bound_names(nodes: list[ast.AST]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.arg) and node.arg not in ("self", "cls"):
            yield node.arg


def _sentences(text: str) -> list[str]:
    """The sentences of a document's prose, without code, tables and headings."""
    prose = _TABLE_OR_HEADING.sub("", _CODE_BLOCK.sub("", text))
    sentences = _SENTENCE_END.split(_LIST_ITEM.sub("\n\n", prose))
    return [sentence for sentence in sentences if sentence.strip()]


def _share(part: int, whole: int) -> float:
    return round(part / whole, 3) if whole else 0.0


def main() -> None:
    """Count, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    figures = {"code": code_figures(arguments.folder), "docs": document_figures(arguments.folder)}
    if arguments.json:
        print(json.dumps(figures))
        return
    for part, rows in figures.items():
        print(part)
        for name, value in rows.items():
            print(f"  {name.replace('_', ' '):24} {value}")


if __name__ == "__main__":
    main()
