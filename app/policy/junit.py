"""The results of tests as JUnit's XML, which CI systems show."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from models.text.sanitize import inert, inert_lines


@dataclass(frozen=True, slots=True)
class TestResult:
    """One test that was run."""

    file: str
    line: int
    name: str
    seconds: float
    problems: list[str]  # of several lines each; none if it passed

    @property
    def passed(self) -> bool:
        """Whether everything was as expected."""
        return not self.problems


def write_junit(path: Path, results: Sequence[TestResult]) -> None:
    """Write the file. Raises OSError."""
    by_file: dict[str, list[TestResult]] = {}
    for result in results:
        by_file.setdefault(result.file, []).append(result)
    suites = Element("testsuites", _total_attributes(results))
    for file, file_results in by_file.items():
        suite = SubElement(
            suites,
            "testsuite",
            {"name": inert(file), "errors": "0", "skipped": "0", **_total_attributes(file_results)},
        )
        for result in file_results:
            where = {"file": inert(file), "line": str(result.line), "time": f"{result.seconds:.3f}"}
            case = SubElement(
                suite, "testcase", {"classname": inert(file), "name": inert(result.name), **where}
            )
            if not result.passed:
                first = result.problems[0].partition("\n")[0]
                SubElement(case, "failure", {"message": inert(first)}).text = inert_lines(
                    "\n".join(result.problems)
                )
    indent(suites)
    path.write_bytes(tostring(suites, encoding="utf-8", xml_declaration=True) + b"\n")


def _total_attributes(results: Sequence[TestResult]) -> dict[str, str]:
    failed = sum(not result.passed for result in results)
    seconds = sum(result.seconds for result in results)
    return {"tests": str(len(results)), "failures": str(failed), "time": f"{seconds:.3f}"}
