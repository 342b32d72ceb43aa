"""Self-tests of the scripts behind `make test`: a count that lies would hide everything else."""

import pathlib
import subprocess
import sys
import tempfile
import unittest

SCRIPTS = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(SCRIPTS))

import check_repository  # noqa: E402
import reports  # noqa: E402

# As Swift 6.3 writes it: the header counts issues (3), not tests that failed (2).
SWIFT_TESTING = """<?xml version="1.0" encoding="UTF-8"?>
<testsuites>
  <testsuite name="TestResults" errors="0" tests="6" failures="3" skipped="1" time="0.002">
    <testcase classname="X" name="skipped()" >
      <skipped>no device</skipped>
    </testcase>
    <testcase classname="X" name="passes()" time="0.001" />
    <testcase classname="X" name="param(i:)" time="0.001">
      <failure message="Expectation failed: (i &#8594; 2) != 2 (error)" />
    </testcase>
    <testcase classname="X" name="fails()" time="0.002">
      <failure message="Expectation failed: 1 == 2 (error)" />
      <failure message="Expectation failed: 3 == 4 (error)" />
    </testcase>
    <testcase classname="X.S" name="inSuite()" time="0.0005" />
  </testsuite>
</testsuites>
"""


class Counting(unittest.TestCase):
    def count(self, text: str) -> reports.Count:
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "report.xml"
            path.write_text(text)
            return reports.count(path)

    def test_cases_are_counted_and_not_issues(self):
        self.assertEqual(self.count(SWIFT_TESTING), reports.Count(2, 2, 1))

    def test_a_report_cut_by_a_crash_is_a_failure(self):
        cut = SWIFT_TESTING[: SWIFT_TESTING.index("<testcase classname=\"X\" name=\"param")]
        self.assertEqual(self.count(cut), reports.Count(1, 1, 0))
        self.assertEqual(self.count("<testsuites>"), reports.Count(0, 1, 0))

    def test_a_missing_report_is_a_failure(self):
        self.assertEqual(reports.count(pathlib.Path("/nonexistent")), reports.Count(0, 1, 0))

    def test_what_is_written_is_counted(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "new" / "report.xml"
            cases = [("a", None), ("b", "broke \x1b[31m & <that>"), ("c", None)]
            reports.write(path, "s", cases, skipped={"d": "no device"})
            self.assertEqual(reports.count(path), reports.Count(2, 1, 1))

    def test_the_line_names_skips_only_if_there_are_any(self):
        self.assertEqual(str(reports.Count(3, 1, 0)), "3 passed, 1 failed")
        self.assertEqual(str(reports.Count(3, 0, 2)), "3 passed, 0 failed, 2 skipped")

    def test_exit_codes(self):
        for count, outside, inside in [
            (reports.Count(3, 0, 0), 0, 0),
            (reports.Count(3, 0, 1), 0, 1),
            (reports.Count(3, 1, 0), 1, 1),
            (reports.Count(0, 0, 0), 1, 1),
            (reports.Count(0, 0, 5), 1, 1),
        ]:
            self.assertEqual(count.exit_code(False), outside, str(count))
            self.assertEqual(count.exit_code(True), inside, str(count))


class Repository(unittest.TestCase):
    def test_build_products_are_found(self):
        self.assertIsNone(check_repository.committed_products(["Package.swift", "Sources/a.swift"]))
        for name in ["Package.resolved", "Benchmarks/Package.resolved", "a/__pycache__/b.pyc"]:
            self.assertIsNotNone(check_repository.committed_products([name]), name)

    def test_symbols_that_bring_icu_are_told_from_those_that_do_not(self):
        listing = """
                 U $s10Foundation6NSLockCMa
                 U $s20FoundationEssentials4DataV5countSivg
                 U $sSy10FoundationE5range2of7optionsAB6localeSnySS5IndexVGSgqd__F
0000000000000010 T $s10Foundation6NSLockCMa
"""
        self.assertEqual(
            check_repository.icu_symbols(listing),
            ["$s10Foundation6NSLockCMa",
             "$sSy10FoundationE5range2of7optionsAB6localeSnySS5IndexVGSgqd__F"])

    def test_fields_that_no_page_names_are_told(self):
        source = """enum CodingKeys: String, CodingKey {
            case device, models
            case batchSize = "batch_size"
          }
          struct A { enum CodingKeys: CodingKey { case name } }"""
        self.assertEqual(
            check_repository.coding_keys(source), {"device", "models", "batch_size", "name"})
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            name = "Sources/SEMGTrain/Report.swift"
            (root / "Sources/SEMGTrain").mkdir(parents=True)
            (root / "Documentation").mkdir()
            (root / name).write_text(source)
            (root / "Documentation/a.md").write_text("`device`, `models`: `name`, size of a batch")
            self.assertIn("batch_size (Sources/SEMGTrain/Report.swift)",
                          check_repository.undocumented_fields(root, [name]))
            self.assertIn("SEMGTrain", check_repository.unlisted_targets(root, "`Sources/Training`"))
            (root / "Documentation/b.md").write_text("`batch_size`")
            self.assertIsNone(check_repository.undocumented_fields(root, [name]))
            self.assertIsNone(check_repository.unlisted_targets(root, "`Sources/SEMGTrain`"))

    def test_commands_of_the_readme_are_found(self):
        text = (
            "```sh\nsemg-train --data d \\\n  --seed 1  # why\nmake demo\n"
            "build/x/semg-train evaluate --part=test DIR\n```\n"
            "```\nsemg-train nothing --output-of-a-run\n```\n"
        )
        self.assertEqual(
            check_repository.readme_commands(text),
            [("train", ["--data", "--seed"]), ("evaluate", ["--part"])],
        )
        self.assertIsNone(check_repository.unknown_make_targets(text, "demo:\n\tx\n"))
        self.assertIsNotNone(check_repository.unknown_make_targets(text, "test:\n\tx\n"))

    def test_an_option_that_help_lacks_is_found(self):
        with tempfile.TemporaryDirectory() as folder:
            binary = pathlib.Path(folder) / "semg-train"
            binary.write_text(
                "#!/bin/sh\n"
                "[ \"$1\" = --help ] && printf 'SUBCOMMANDS:\\n  train (default)    Train.\\n'\n"
                "echo '  --data-dir, --seed'\n")
            binary.chmod(0o755)
            unknown = check_repository.unknown_commands
            self.assertIsNone(unknown([("train", ["--seed"])], binary))
            self.assertIn("--data", unknown([("train", ["--data"])], binary) or "")
            self.assertIn("wobble", unknown([("wobble", [])], binary) or "")
        self.assertIsNotNone(check_repository.unknown_commands([], None))


class PythonRunner(unittest.TestCase):
    def test_every_kind_of_case_is_reported_once(self):
        with tempfile.TemporaryDirectory() as folder:
            (pathlib.Path(folder) / "test_some.py").write_text(
                "import unittest\n"
                "class T(unittest.TestCase):\n"
                "    def test_a(self): pass\n"
                "    def test_b(self): self.fail('b')\n"
                "    def test_c(self): raise OSError('c')\n"
                "    @unittest.skip('d')\n"
                "    def test_d(self): pass\n"
                "    def test_e(self):\n"
                "        for i in range(2):\n"
                "            with self.subTest(i=i): self.assertEqual(i, 0)\n"
            )
            report = pathlib.Path(folder) / "report.xml"
            result = subprocess.run(
                [sys.executable, str(SCRIPTS / "run_python_tests.py"), folder, str(report)],
                capture_output=True)
            self.assertEqual(result.returncode, 1)
            self.assertEqual(reports.count(report), reports.Count(1, 3, 1))

    def test_a_folder_that_cannot_be_imported_is_a_failure(self):
        with tempfile.TemporaryDirectory() as folder:
            (pathlib.Path(folder) / "test_some.py").write_text("import nothing_of_that_name\n")
            report = pathlib.Path(folder) / "report.xml"
            subprocess.run(
                [sys.executable, str(SCRIPTS / "run_python_tests.py"), folder, str(report)],
                capture_output=True)
            self.assertEqual(reports.count(report), reports.Count(0, 1, 0))


class Packages(unittest.TestCase):
    def test_an_unknown_group_is_refused(self):
        result = subprocess.run(
            [str(SCRIPTS / "install-packages.sh"), "wobble"], capture_output=True, text=True
        )
        self.assertEqual(result.returncode, 64)
        self.assertIn("wobble", result.stderr)


if __name__ == "__main__":
    unittest.main()
