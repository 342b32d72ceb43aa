"""Runs the unittest cases of a folder and writes their xUnit report.

usage: run_python_tests.py FOLDER REPORT
"""

import pathlib
import sys
import unittest

import reports


class Recorder(unittest.TextTestResult):
    """Remembers each case and what went wrong with it."""

    def __init__(self, *arguments, **settings):
        super().__init__(*arguments, **settings)
        self.problems: dict[str, str | None] = {}

    def startTest(self, test):
        super().startTest(test)
        self.problems[test.id()] = None

    def addFailure(self, test, error):
        super().addFailure(test, error)
        self.problems[test.id()] = self.failures[-1][1]

    def addError(self, test, error):
        super().addError(test, error)
        self.problems[test.id()] = self.errors[-1][1]

    def addSubTest(self, test, subtest, error):
        super().addSubTest(test, subtest, error)
        if error is not None:
            self.problems[test.id()] = f"{subtest}: {error[1]}"


def main(folder: str, report: str) -> int:
    suite = unittest.defaultTestLoader.discover(folder)
    result = unittest.TextTestRunner(sys.stdout, resultclass=Recorder).run(suite)
    skipped = {test.id(): reason for test, reason in result.skipped}
    reports.write(
        pathlib.Path(report), pathlib.Path(folder).name,
        [(name, problem) for name, problem in result.problems.items() if name not in skipped],
        skipped=skipped)
    return 0 if result.wasSuccessful() else 1


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1], sys.argv[2]))
