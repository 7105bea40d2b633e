"""`tocsin policy test`: scenarios on virtual time, as promtool does for rules."""

import argparse
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from os.path import normpath
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from app.files import policy_file, yaml_file
from app.files.bounded_yaml import Document
from app.files.policy_file import PolicyFile
from app.files.yaml_file import BadFile, Mistake
from app.policy import junit
from app.policy.coverage import policy_entries, reached_entries
from app.policy.junit import TestResult
from app.policy.scenario_runner import play_scenario
from models.policy.scenario import Scenarios
from models.policy.types import Where
from models.text.sanitize import inert, inert_lines

SUFFIXES = (".yaml", ".yml")


class ScenarioFile(NamedTuple):
    """A file of scenarios, and the policy that they test."""

    path: Path
    document: Document
    scenarios: Scenarios
    policy: PolicyFile


def add_arguments(parser: argparse.ArgumentParser, _name: str) -> None:
    """Add the command's arguments."""
    parser.set_defaults(run=_run_tests)
    parser.add_argument(
        "paths", nargs="+", metavar="PATH", help="files of tests, or folders of them"
    )
    parser.add_argument(
        "--policy",
        default="",
        metavar="FILE",
        help="test this one, whichever the files of tests name",
    )
    parser.add_argument("--junit", metavar="FILE", help="write the results as JUnit's XML")
    parser.add_argument(
        "--coverage", action="store_true", help="say which entries of the policy no test reaches"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object")


def _run_tests(arguments: argparse.Namespace) -> int:
    files = read_tests([Path(path) for path in arguments.paths], arguments.policy)
    results = []
    seen: dict[Path, set[Where]] = {}
    for scenario in play_scenarios(files, seen):
        results.append(scenario)
        if not arguments.json:
            _print_result(scenario)
    failed = sum(not result.passed for result in results)
    if arguments.junit:
        junit.write_junit(Path(arguments.junit), results)
    missing = _unreached_entries(files, seen) if arguments.coverage else []
    if arguments.json:
        tests = [_result_json(result) for result in results]
        document: dict[str, Any] = {
            "passed": len(results) - failed,
            "failed": failed,
            "tests": tests,
        }
        print(
            json.dumps(
                document
                | (
                    {"not_reached": [mistake.as_json() for mistake in missing]}
                    if arguments.coverage
                    else {}
                )
            )
        )
        return int(failed > 0)
    for entry in missing:
        print(inert(str(entry)))
    print(f"{len(results) - failed} passed, {failed} failed")
    return int(failed > 0)


def _unreached_entries(
    files: Sequence[ScenarioFile], seen: Mapping[Path, set[Where]]
) -> list[Mistake]:
    """The entries of each policy that no test has reached."""
    policies = {file.policy.path: file.policy for file in files}
    return [
        yaml_file.mistake_at(path, policy.document, where, "no test reaches it")
        for path, policy in policies.items()
        for where in policy_entries(policy.rules)
        if where not in seen[path]
    ]


def play_scenarios(
    files: Sequence[ScenarioFile], seen: dict[Path, set[Where]]
) -> Iterator[TestResult]:
    """Play every scenario of the files, and note in `seen` what of each policy they reach."""
    for file in files:
        for number, scenario in enumerate(file.scenarios.tests):
            started = time.perf_counter()
            problems, differences = play_scenario(file.policy.rules, scenario)
            seconds = time.perf_counter() - started
            seen.setdefault(file.policy.path, set()).update(
                reached_entries(file.policy.rules, scenario, differences)
            )
            where = ("tests", number)
            told = []
            for problem in problems:
                mistake = yaml_file.mistake_at(
                    file.path, file.document, (*where, *problem.where), problem.lines[0]
                )
                told.append("\n".join([str(mistake), *problem.lines[1:]]))
            line = file.document.place(where).line
            yield TestResult(str(file.path), line, scenario.name, seconds, told)


def read_tests(paths: Sequence[Path], policy: str = "") -> list[ScenarioFile]:
    """The files of tests at paths, with the policy if it is named, else each with its own.

    Raises BadFile.
    """
    mistakes: list[Mistake] = []
    files: list[ScenarioFile] = []
    policies: dict[str, PolicyFile] = {}
    for path in _scenario_paths(paths):
        try:
            document, scenarios = read_scenarios(path)
            tested = policy or (
                normpath(path.parent / scenarios.policy) if scenarios.policy else ""
            )
            if tested not in policies:
                policies[tested] = policy_file.read_policy_file(tested)
            files.append(ScenarioFile(path, document, scenarios, policies[tested]))
        except BadFile as error:
            mistakes += [mistake for mistake in error.mistakes if mistake not in mistakes]
    if mistakes:
        raise BadFile(mistakes)
    return files


def read_scenarios(path: Path) -> tuple[Document, Scenarios]:
    """A file of tests. Raises BadFile."""
    document = yaml_file.read_mapping(path, "policy and tests (docs/POLICY_TESTS.md)")
    try:
        return document, Scenarios.model_validate(document.data)
    except ValidationError as error:
        raise yaml_file.validation_refusal(path, document, error, Scenarios) from None


def _scenario_paths(paths: Sequence[Path]) -> list[Path]:
    """The paths' files, in order, each once. Raises BadFile when a folder has none."""
    scenario_files: dict[Path, None] = {}
    for path in paths:
        inside = (
            sorted(item for item in path.rglob("*") if item.suffix in SUFFIXES and item.is_file())
            if path.is_dir()
            else [path]
        )
        if not inside:
            raise BadFile(
                [Mistake(str(path), 0, 0, "", f"has no file that ends in {' or '.join(SUFFIXES)}")]
            )
        scenario_files |= dict.fromkeys(inside)
    return list(scenario_files)


def _print_result(result: TestResult) -> None:
    if result.passed:
        print(inert(f"ok    {result.file}: {result.name}"))
        return
    print(inert(f"FAIL  {result.file}:{result.line}: {result.name}"))
    for problem in result.problems:
        for line in inert_lines(problem).splitlines():
            print(f"      {line}")


def _result_json(result: TestResult) -> dict[str, Any]:
    return {
        "file": result.file,
        "line": result.line,
        "name": result.name,
        "passed": result.passed,
        "seconds": round(result.seconds, 3),
        "problems": result.problems,
    }
