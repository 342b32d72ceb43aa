"""xUnit reports: written for our own checks, counted for every runner."""

import dataclasses
import pathlib
import re
import xml.etree.ElementTree as ElementTree


@dataclasses.dataclass
class Count:
    """How many tests passed, failed and were skipped."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def __add__(self, other: "Count") -> "Count":
        return Count(
            self.passed + other.passed, self.failed + other.failed, self.skipped + other.skipped
        )

    def __str__(self) -> str:
        line = f"{self.passed} passed, {self.failed} failed"
        return f"{line}, {self.skipped} skipped" if self.skipped else line

    def exit_code(self, continuous_integration: bool) -> int:
        """Nothing that ran, a failure, and in CI a skip are all failures."""
        if self.failed or self.passed == 0:
            return 1
        return 1 if continuous_integration and self.skipped else 0


def count(report: pathlib.Path) -> Count:
    """Counts a report's test cases, one a function whatever its arguments.

    The header's numbers are not used: Swift Testing counts issues there, not tests. A report that
    its runner could not finish (a crash) is one failure beside the cases that it holds; a test case
    that was running then is in no report.
    """
    try:
        text = report.read_text(errors="replace")
    except OSError:
        return Count(failed=1)
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError:
        return Count(passed=len(re.findall(r"<testcase [^>]*/>", text)), failed=1)
    total = Count()
    for case in root.iter("testcase"):
        if case.find("failure") is not None or case.find("error") is not None:
            total.failed += 1
        elif case.find("skipped") is not None:
            total.skipped += 1
        else:
            total.passed += 1
    return total


def write(
    report: pathlib.Path, suite: str, cases: list[tuple[str, str | None]],
    skipped: dict[str, str] | None = None,
) -> None:
    """Writes cases of (name, what went wrong or None), and skipped ones, as one suite."""
    skipped = skipped or {}
    root = ElementTree.Element("testsuites")
    element = ElementTree.SubElement(
        root, "testsuite", name=suite, tests=str(len(cases) + len(skipped)))
    for name, reason in skipped.items():
        case = ElementTree.SubElement(element, "testcase", classname=suite, name=name)
        ElementTree.SubElement(case, "skipped").text = reason
    for name, problem in cases:
        case = ElementTree.SubElement(element, "testcase", classname=suite, name=name)
        if problem is not None:
            # XML 1.0 has no place for most control characters.
            message = re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f]", "?", problem)
            ElementTree.SubElement(case, "failure", message=message)
    report.parent.mkdir(parents=True, exist_ok=True)
    ElementTree.ElementTree(root).write(report, encoding="utf-8", xml_declaration=True)
