"""What holds for the repository as a whole: what is committed, and that the README tells the truth."""

import pathlib
import re
import subprocess

FORBIDDEN = re.compile(r"(^|/)(Package\.resolved|\.build|__pycache__|venv)(/|$)|\.(pyc|o|so|whl)$")
LARGEST_FILE = 1_000_000  # bytes; fixtures are small, weights and recordings are made, not kept


def tracked_files(root: pathlib.Path) -> list[str]:
    listing = subprocess.run(
        # Whoever owns the checkout: in a container that is often somebody else.
        ["git", "-c", "safe.directory=*", "ls-files", "-z"],
        cwd=root, capture_output=True, text=True, check=True,
    )
    return [name for name in listing.stdout.split("\0") if name]


def committed_products(files: list[str]) -> str | None:
    found = [name for name in files if FORBIDDEN.search(name)]
    return f"committed, and should not be: {', '.join(found)}" if found else None


def large_files(root: pathlib.Path, files: list[str]) -> str | None:
    found = [
        f"{name} ({size:,} bytes)"
        for name in files
        if (root / name).is_file() and (size := (root / name).stat().st_size) > LARGEST_FILE
    ]
    return f"over {LARGEST_FILE:,} bytes: {', '.join(found)}" if found else None


# A symbol of the half of Foundation that brings ICU's 34 MB into a statically linked binary; the
# other half is FoundationEssentials.
NEEDS_ICU = re.compile(r" U (\$s\w*(?:(?<!\d)10Foundation[0-9E]|27FoundationInternationalization)\w*)")


def icu_symbols(listing: str) -> list[str]:
    """What of that half an object file asks for, in what `nm` prints."""
    return NEEDS_ICU.findall(listing)


def needing_icu(root: pathlib.Path, objects: pathlib.Path) -> str | None:
    """Object files of the sources that make the installed program, and `make carry`, too large."""
    found = []
    for folder in sorted((root / "Sources").iterdir()):
        for path in sorted((objects / f"{folder.name}.build").glob("*.o")):
            listing = subprocess.run(["nm", str(path)], capture_output=True, text=True).stdout
            if symbols := icu_symbols(listing):
                found.append(f"{folder.name}: {', '.join(symbols[:3])}")
    return f"use the standard library, as these need ICU: {'; '.join(found)}" if found else None


def cancelled_tests(root: pathlib.Path, files: list[str]) -> str | None:
    """Swift Testing's report calls a cancelled test passed: a skip must be a trait instead."""
    found = [
        name
        for name in files
        if name.startswith("Tests/")
        and name.endswith(".swift")
        and (root / name).is_file()
        and re.search(r"\bTest\.cancel\(", (root / name).read_text())
    ]
    return f"use .enabled(if:), not Test.cancel: {', '.join(found)}" if found else None


def shell_lines(markdown: str) -> list[str]:
    """The lines of the fenced code blocks that are marked as shell, continued lines joined."""
    lines: list[str] = []
    for block in re.findall(r"^```(?:sh|shell|bash)\n(.*?)^```", markdown, re.M | re.S):
        lines += re.sub(r"\\\n\s*", "", block).splitlines()
    return lines


def readme_commands(markdown: str) -> list[tuple[str, list[str]]]:
    """(subcommand, long options) of every `semg-train` that the README tells the user to type.

    The subcommand is "train", the default one, where none is named.
    """
    commands = []
    for line in shell_lines(markdown):
        match = re.match(r"\s*(?:\$ )?(?:\S*/)?semg-train\b(.*)", line)
        if not match:
            continue
        words = match[1].split("#")[0].split()
        name = words[0] if words and re.fullmatch(r"[a-z]+", words[0]) else "train"
        commands.append((name, [word.split("=")[0] for word in words if word.startswith("--")]))
    return commands


def help_text(binary: pathlib.Path, *arguments: str) -> str:
    result = subprocess.run(
        [str(binary), *arguments, "--help"], capture_output=True, text=True, timeout=30
    )
    return result.stdout if result.returncode == 0 else ""


def unknown_commands(
    commands: list[tuple[str, list[str]]], binary: pathlib.Path | None
) -> str | None:
    if binary is None:
        return "no semg-train was built to ask"
    wrong = []
    # A word that is not a subcommand is taken for an argument of the default one: only the list tells.
    known = set(re.findall(r"^  ([a-z]+) ", help_text(binary).partition("SUBCOMMANDS:")[2], re.M))
    for name, options in commands:
        text = help_text(binary, name) if name in known else ""
        if not text:
            wrong.append(f"semg-train {name}")
        wrong += [
            f"semg-train {name} {option}"
            for option in options
            if text and option not in ("--help", "--version")
            and not re.search(rf"(?<![\w-]){re.escape(option)}(?![\w-])", text)
        ]
    return f"the README names what --help does not know: {', '.join(wrong)}" if wrong else None


def unknown_make_targets(markdown: str, makefile: str) -> str | None:
    named = set(re.findall(r"^\s*make ([a-z-]+)", "\n".join(shell_lines(markdown)), re.M))
    wrong = sorted(named - set(re.findall(r"^([a-z-]+):", makefile, re.M)))
    return f"the README names targets that the Makefile lacks: {', '.join(wrong)}" if wrong else None


def missing_links(root: pathlib.Path, files: list[str]) -> str | None:
    """Relative links of the Markdown files that lead nowhere."""
    wrong = []
    for name in files:
        if not name.endswith(".md") or not (root / name).is_file():
            continue
        for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)", (root / name).read_text()):
            if "://" not in link and not (root / name).parent.joinpath(link).exists():
                wrong.append(f"{name}: {link}")
    return f"links to nowhere: {', '.join(wrong)}" if wrong else None


def unlisted_targets(root: pathlib.Path, readme: str) -> str | None:
    """Folders of Sources that the README's map of folders leaves out."""
    listed = set(re.findall(r"`(?:Sources/)?(\w+)`", readme))
    wrong = sorted(folder.name for folder in (root / "Sources").iterdir()
                   if folder.is_dir() and folder.name not in listed)
    return f"the README's map of folders lacks: {', '.join(wrong)}" if wrong else None


# Whose coding keys are fields of files of a run, or of what `--json` prints.
DOCUMENTED = re.compile(
    r"Sources/(SEMGTrain/.*|Training/(RunReport|PartReport|Metrics|RunOrigin|.*Report.*)"
    r"|Artifacts/Run/(Preprocessing|RecordingProfile))\.swift$")


def coding_keys(source: str) -> set[str]:
    """The names of the fields that the `CodingKeys` of a Swift file list."""
    keys: set[str] = set()
    for block in re.findall(r"enum CodingKeys\b[^{]*\{(.*?)\}", source, re.S):
        for cases in re.findall(r"\bcase ([^\n]*)", block):
            for part in cases.split(","):
                name, _, text = part.partition("=")
                keys.add(text.strip().strip('"') or name.strip())
    return keys


def undocumented_fields(root: pathlib.Path, files: list[str]) -> str | None:
    pages = "".join(path.read_text() for path in sorted((root / "Documentation").glob("*.md")))
    # `recordings.level`, `.balance` and `windows` alike.
    known = set(re.findall(r"[a-z_0-9]+", " ".join(re.findall(r"`([^`\n]+)`", pages))))
    wrong = [
        f"{key} ({name})" for name in files if DOCUMENTED.match(name) and (root / name).is_file()
        for key in sorted(coding_keys((root / name).read_text()) - known)]
    return f"fields that no page of Documentation names: {', '.join(wrong)}" if wrong else None


def check(
    root: pathlib.Path, binary: pathlib.Path | None, objects: pathlib.Path | None = None
) -> list[tuple[str, str | None]]:
    """Every check as (name, what is wrong or None); prints what is wrong. `objects`: the folder of a
    release build, if there is one."""
    readme = (root / "README.md").read_text()
    cases: list[tuple[str, str | None]] = [
        ("the README's commands exist", unknown_commands(readme_commands(readme), binary)),
        ("the README's make targets exist",
         unknown_make_targets(readme, (root / "Makefile").read_text())),
        ("the README's map lists every target", unlisted_targets(root, readme)),
    ]
    if objects is not None:
        cases.append(("no source needs ICU", needing_icu(root, objects)))
    # A copy without its history (a downloaded archive) has no list of tracked files to check.
    if (root / ".git").exists():
        files = tracked_files(root)
        cases += [
            ("no build product is committed", committed_products(files)),
            ("no large file is committed", large_files(root, files)),
            ("no test cancels itself", cancelled_tests(root, files)),
            ("links in Markdown lead somewhere", missing_links(root, files)),
            ("the fields of JSON are documented", undocumented_fields(root, files)),
        ]
    for name, problem in cases:
        if problem:
            print(f"{name}: {problem}")
    return cases
