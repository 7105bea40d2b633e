"""`tocsin policy test`: scenarios on virtual time, as promtool does for rules."""

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from app import policy_file, yaml_file
from app.bounded_yaml import Document
from app.core.rulebook import Rulebook
from app.operating import add
from app.policy import junit
from app.policy.junit import Result
from app.policy.staging import play
from app.yaml_file import BadFile, Mistake
from models.inert import inert, inert_lines
from models.scenario import Scenarios

SUFFIXES = (".yaml", ".yml")


class ScenarioFile(NamedTuple):
    """A file of scenarios, and the policy that they test."""

    path: Path
    document: Document
    scenarios: Scenarios
    policy: Rulebook


def add_test(commands: Any) -> None:
    """Add the command."""
    text = "play scenarios on virtual time, and compare what comes of them (docs/POLICY_TESTS.md)"
    test = add(commands, "test", _test, text, "tocsin policy test policies/tests/ --junit results.xml")
    test.add_argument("paths", nargs="+", metavar="PATH", help="files of tests, or folders of them")
    test.add_argument("--policy", default="", metavar="FILE", help="test this one, whichever the files of tests name")
    test.add_argument("--junit", metavar="FILE", help="write the results as JUnit's XML")
    test.add_argument("--json", action="store_true", help="one JSON object")


def _test(arguments: argparse.Namespace) -> int:
    files = read_tests([Path(path) for path in arguments.paths], arguments.policy)
    results = []
    for one in run(files):
        results.append(one)
        if not arguments.json:
            _print(one)
    failed = sum(not one.passed for one in results)
    if arguments.junit:
        junit.write(Path(arguments.junit), results)
    if arguments.json:
        tests = [_as_json(one) for one in results]
        print(json.dumps({"passed": len(results) - failed, "failed": failed, "tests": tests}))
    else:
        print(f"{len(results) - failed} passed, {failed} failed")
    return int(failed > 0)


def run(files: Sequence[ScenarioFile]) -> Iterator[Result]:
    """Play every scenario of the files."""
    for file in files:
        for number, scenario in enumerate(file.scenarios.tests):
            started = time.perf_counter()
            problems = play(file.policy, scenario)
            seconds = time.perf_counter() - started
            where = ("tests", number)
            told = []
            for one in problems:
                said = yaml_file.mistake(file.path, file.document, (*where, *one.where), one.lines[0])
                told.append("\n".join([str(said), *one.lines[1:]]))
            line = file.document.place(where).line
            yield Result(str(file.path), line, scenario.name, seconds, told)


def read_tests(paths: Sequence[Path], policy: str = "") -> list[ScenarioFile]:
    """The files of tests at paths, with the policy if it is named, else each with its own. Raises BadFile."""
    mistakes: list[Mistake] = []
    files: list[ScenarioFile] = []
    policies: dict[str, Rulebook] = {}
    for path in _files(paths):
        try:
            document, scenarios = read_scenarios(path)
            tested = policy or (str(path.parent / scenarios.policy) if scenarios.policy else "")
            if tested not in policies:
                policies[tested] = policy_file.load(tested)
            files.append(ScenarioFile(path, document, scenarios, policies[tested]))
        except BadFile as error:
            mistakes += [one for one in error.mistakes if one not in mistakes]
    if mistakes:
        raise BadFile(mistakes)
    return files


def read_scenarios(path: Path) -> tuple[Document, Scenarios]:
    """A file of tests. Raises BadFile."""
    document = yaml_file.read(path, "policy and tests (docs/POLICY_TESTS.md)")
    try:
        return document, Scenarios.model_validate(document.data)
    except ValidationError as error:
        raise yaml_file.refusal(path, document, error, Scenarios) from None


def _files(paths: Sequence[Path]) -> list[Path]:
    """The paths' files, in order, each once. Raises BadFile when a folder has none."""
    found: dict[Path, None] = {}
    for path in paths:
        inside = (
            sorted(one for one in path.rglob("*") if one.suffix in SUFFIXES and one.is_file())
            if path.is_dir()
            else [path]
        )
        if not inside:
            raise BadFile([Mistake(str(path), 0, 0, "", f"has no file that ends in {' or '.join(SUFFIXES)}")])
        found |= dict.fromkeys(inside)
    return list(found)


def _print(result: Result) -> None:
    if result.passed:
        print(inert(f"ok    {result.file}: {result.name}"))
        return
    print(inert(f"FAIL  {result.file}:{result.line}: {result.name}"))
    for problem in result.problems:
        for line in inert_lines(problem).splitlines():
            print(f"      {line}")


def _as_json(result: Result) -> dict[str, Any]:
    return {
        "file": result.file,
        "line": result.line,
        "name": result.name,
        "passed": result.passed,
        "seconds": round(result.seconds, 3),
        "problems": result.problems,
    }
