"""The figures of how code and documents read (bench/readability.py)."""

from pathlib import Path

from bench.readability import code_figures, document_figures

LONG = " ".join(["word"] * 40) + "."
README = f"# A heading {LONG}\n\nIt works. {LONG}\n\n    code {LONG}\n\n| a table | {LONG} |\n"
MODULE = "def read_file(path):\n    one = path\n    return one\n\n\ndef say():\n    one = 1\n"


def test_only_sentences_of_prose_count(tmp_path: Path) -> None:
    """Headings, code and tables have no sentences."""
    (tmp_path / "README.md").write_text(README)

    figures = document_figures(tmp_path)

    assert figures["long_sentences"] == {"README.md": 0.5}


def test_names_and_lengths_are_counted(tmp_path: Path) -> None:
    """A function name of one word, and the name that is bound most."""
    (tmp_path / "module.py").write_text(MODULE)

    figures = code_figures(tmp_path)

    assert figures["single_word_functions"] == 0.5
    assert figures["commonest_names"] == {"one": 2, "path": 1}
    assert figures["module_lines"] == {"median": 7, "max": 7}
