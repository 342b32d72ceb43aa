"""Compiles every OpenCL kernel for GPUs that this machine does not have, and tables what it takes.

usage: check_kernels.py [FILE.cl ...]        (all of Kernels/ where none is named)

Each file goes through a strict pass (OpenCL C 1.2 without extensions, warnings are errors), and
through the compilers of NVIDIA (clang to PTX, ptxas), AMD (clang) and Intel GPUs (ocloc): as it
stands, and with each set of sizes that a comment line of its own declares:

    // build: -DTIME=204 -DIN=64

A file for NVIDIA's GPUs has builds for every tile, too, each of which a file that it includes names
in a line `// tile: -DNAME=VALUE …`; they go through the strict pass and the newest of NVIDIA's:

    // build of each tile: -DPART=1

A file for NVIDIA's GPUs alone says which of their instructions each of its kernels is made for:

    // instructions: HMMA LDSM LDGSTS

Its machine code must hold them; the strict pass compiles it with EMULATED, AMD's and Intel's
compilers not at all. Nor may lanes of a warp come apart to what wants the whole warp.

A register spill on NVIDIA or AMD is a failure; Intel's compiler picks its own SIMD width, and what
it spills stands in the table. The table goes to standard output and build/reports/kernels.md.
"""

import concurrent.futures
import dataclasses
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator

import reports
import warp_convergence

ROOT = pathlib.Path(__file__).resolve().parent.parent
KERNELS = ROOT / "Kernels"
REPORTS = ROOT / "build" / "reports"
VENV = ROOT / "build" / "venv"
LIBCLC = pathlib.Path("/usr/lib/clc")
SECONDS = 300  # for one file, one target and one build
NEWEST = "sm_90"  # of NVIDIA's: what is the same for all is checked on it alone

# What libclc leaves to a library that NVIDIA has and clang has not: the hardware's approximations.
NVIDIA_NATIVE = """
#define SEMG_APPROXIMATE(name, instruction, before, after)               \\
  static inline float semg_##name(float x) {                             \\
    float y;                                                             \\
    __asm__(instruction " %0, %1;" : "=f"(y) : "f"(x * before));         \\
    return y * after;                                                    \\
  }
SEMG_APPROXIMATE(exp, "ex2.approx.f32", 1.442695041f, 1.0f)
SEMG_APPROXIMATE(exp2, "ex2.approx.f32", 1.0f, 1.0f)
SEMG_APPROXIMATE(log, "lg2.approx.f32", 1.0f, 0.693147181f)
SEMG_APPROXIMATE(log2, "lg2.approx.f32", 1.0f, 1.0f)
SEMG_APPROXIMATE(sin, "sin.approx.f32", 1.0f, 1.0f)
SEMG_APPROXIMATE(cos, "cos.approx.f32", 1.0f, 1.0f)
#define native_exp semg_exp
#define native_exp2 semg_exp2
#define native_log semg_log
#define native_log2 semg_log2
#define native_sin semg_sin
#define native_cos semg_cos
"""


class Problem(Exception):
    """A file that does not compile, or not into what it should; its text is for people."""


@dataclasses.dataclass
class Kernel:
    """What one kernel takes on one target. Registers count a work item; bytes of local memory a
    work group; private memory and spills a work item."""

    name: str
    registers: str = "?"
    local_bytes: int = 0
    private_bytes: int = 0
    spills: int = 0

    def cell(self) -> str:
        notes = [self.registers]
        if self.spills:
            notes.append(f"**spills {self.spills}**")
        elif self.private_bytes:
            notes.append(f"private {self.private_bytes} B")
        return ", ".join(notes)


@dataclasses.dataclass
class Source:
    """A kernel file: `builds` are its sets of defines, the generic one (no defines) first, `of_tiles`
    those for every tile; `instructions` those of NVIDIA's that it needs, by what their names begin
    with."""

    path: pathlib.Path
    kernels: list[str]
    builds: list[list[str]]
    instructions: list[str] = dataclasses.field(default_factory=list)
    of_tiles: list[list[str]] = dataclasses.field(default_factory=list)

    @property
    def name(self) -> str:
        return self.path.name


def read_source(path: pathlib.Path) -> Source:
    text = path.read_text()
    instructions: list[str] = []
    for line in text.splitlines():
        if match := re.fullmatch(r"//\s*instructions:((?: +[A-Z0-9]+)+)", line):
            instructions += match[1].split()
    builds = [[], *declared(path, "build")]
    tiles = [
        tile for name in re.findall(r'^#include "(\w+\.cl)"', text, re.M)
        if (path.parent / name).exists() for tile in declared(path.parent / name, "tile")]
    of_tiles = [build + tile for build in declared(path, "build of each tile") for tile in tiles]
    return Source(path, kernel_names(text), builds, instructions, of_tiles)


def declared(path: pathlib.Path, label: str) -> list[list[str]]:
    """The defines of each comment line that begins with a label."""
    found = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        match = re.fullmatch(rf"//\s*{label}:\s*(.*)", line)
        if not match:
            continue
        defines = shlex.split(match[1])
        wrong = [word for word in defines if not re.fullmatch(r"-D\w+(=\S+)?", word)]
        if wrong or not defines:
            raise Problem(
                f"{path.name}:{number}: expected `// {label}: -DNAME=VALUE …`, found"
                f" `{' '.join(wrong) or line}`")
        found.append(defines)
    return found


def code_of(text: str) -> str:
    """The text without its comments, line by line."""
    return re.sub(r"//[^\n]*|/\*.*?\*/", lambda found: " " + "\n" * found[0].count("\n"), text,
                  flags=re.S)


def kernel_names(text: str) -> list[str]:
    code = code_of(text)
    # An attribute may stand before or behind `void`.
    attribute = r"(?:__attribute__\s*\(\((?:[^()]|\([^()]*\))*\)\)\s*)*"
    pattern = rf"\b(?:__)?kernel\s+{attribute}void\s+{attribute}(\w+)\s*\("
    return re.findall(pattern, code)


def run(command: list[str | pathlib.Path], folder: pathlib.Path) -> str:
    """What the command said on both streams."""
    try:
        result = subprocess.run(
            command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            timeout=SECONDS, errors="replace")
    except subprocess.TimeoutExpired:
        raise Problem(f"{command[0]} took more than {SECONDS} seconds") from None
    if result.returncode != 0:
        raise Problem(f"{pathlib.Path(command[0]).name} exited with {result.returncode}:\n"
                      + result.stdout.strip())
    return result.stdout


def clang(source: Source, defines: list[str], *options: str | pathlib.Path) -> list:
    return ["clang-19", "-x", "cl", "-cl-std=CL1.2", "-Xclang", "-finclude-default-header",
            "-I", source.path.parent, *defines, *options]


def require_static(source: Source) -> None:
    """No `inline` without `static`: in C99 it defines no function that may be called where it is not
    inlined, and some compilers refuse the program then."""
    for number, line in enumerate(code_of(source.path.read_text()).splitlines(), 1):
        if re.search(r"(?<!static )\binline\b", line):
            raise Problem(f"line {number}: expected `static inline`, found `{line.strip()}`")


def strict(source: Source, defines: list[str], folder: pathlib.Path) -> list[Kernel]:
    """Warnings are errors; so are doubles, halves and whatever else needs an extension, and functions
    that are neither kernels nor static."""
    require_static(source)
    file = source.path
    if not source.kernels:  # what others include: its unused functions are no mistake
        file = folder / "includes.cl"
        file.write_text(f'#include "{source.name}"\n')
    # A build for one shape leaves the arguments for its sizes alone.
    unused = ["-Wno-unused-parameter"] if defines else []
    if source.instructions:
        defines = [*defines, "-DEMULATED=1"]
    run(clang(source, defines, "--target=spir64", "-Xclang", "-cl-ext=-all", "-fsyntax-only",
              "-Wall", "-Wextra", "-Wmissing-prototypes", *unused, "-Werror", file), folder)
    return []


def nvidia_tool(name: str) -> pathlib.Path | None:
    """ptxas or nvdisasm: of the environment, of SEMG_PTXAS's folder, or on the path."""
    found = sorted(VENV.glob(f"lib/python*/site-packages/nvidia/*/bin/{name}"))
    if found:
        return found[-1]
    if named := os.environ.get("SEMG_PTXAS"):
        return pathlib.Path(named).with_name(name)
    on_path = shutil.which(name)
    return pathlib.Path(on_path) if on_path else None


def nvidia_ptx(
    source: Source, defines: list[str], architecture: str, folder: pathlib.Path
) -> pathlib.Path:
    """The file in `folder` with the assembly of one build, as clang writes it for NVIDIA's GPUs."""
    native, assembly = folder / "native.h", folder / "k.ptx"
    native.write_text(NVIDIA_NATIVE)
    features = ["-target-cpu", architecture, "-target-feature", "+ptx80",
                "-mlink-builtin-bitcode", str(LIBCLC / "nvptx64--nvidiacl.bc")]
    run(clang(source, defines, "-O3", "--target=nvptx64--nvidiacl", "-fgnu-keywords",
              "-cl-mad-enable", "-D__NV_CL_C_VERSION=120", "-include", native,
              *[word for feature in features for word in ("-Xclang", feature)],
              "-S", "-o", assembly, source.path), folder)
    return assembly


def assemble(architecture: str, folder: pathlib.Path) -> str:
    """Makes k.cubin of k.ptx; what ptxas says of it."""
    assembler = nvidia_tool("ptxas")
    assert assembler is not None, "checked by missing_tool"
    return run([assembler, "-v", f"-arch={architecture}", "k.ptx", "-o", "k.cubin"], folder)


def nvidia(architecture: str) -> Callable[[Source, list[str], pathlib.Path], list[Kernel]]:
    def compile_for(source: Source, defines: list[str], folder: pathlib.Path) -> list[Kernel]:
        nvidia_ptx(source, defines, architecture, folder)
        log = assemble(architecture, folder)
        disassembler = nvidia_tool("nvdisasm")
        assert disassembler is not None, "checked by missing_tool"
        if source.instructions:
            require_instructions(run([disassembler, "k.cubin"], folder), source.instructions)
        if source.instructions and architecture == NEWEST:
            apart = warp_convergence.problems((folder / "k.ptx").read_text())
            if apart:
                raise Problem("; ".join(apart))
        return parse_ptxas(log)

    return compile_for


def require_instructions(code: str, wanted: list[str]) -> None:
    """Each kernel of a disassembly holds each instruction."""
    kernels = re.split(r"^\s*\.section\s+\.text\.(\w+)", code, flags=re.M)[1:]
    if not kernels:
        raise Problem(f"nvdisasm names no kernels:\n{code[:500]}")
    for name, text in zip(kernels[::2], kernels[1::2], strict=True):
        for instruction in wanted:
            if not re.search(rf"^\s*/\*\w+\*/\s+(?:@\S+ +)?{instruction}\b", text, flags=re.M):
                raise Problem(f"the machine code of {name} holds no {instruction}")


def parse_ptxas(log: str) -> list[Kernel]:
    kernels = []
    for part in re.split(r"Compiling entry function '", log)[1:]:
        frame = re.search(r"(\d+) bytes stack frame, (\d+) bytes spill stores, "
                          r"(\d+) bytes spill loads", part)
        registers = re.search(r"Used (\d+) registers", part)
        if not frame or not registers:
            raise Problem(f"ptxas said something unknown:\n{part}")
        local = re.search(r"(\d+) bytes smem", part)
        kernels.append(Kernel(
            part.split("'")[0], registers[1], int(local[1]) if local else 0, int(frame[1]),
            int(frame[2]) + int(frame[3])))
    return kernels


def amd(architecture: str) -> Callable[[Source, list[str], pathlib.Path], list[Kernel]]:
    def compile_for(source: Source, defines: list[str], folder: pathlib.Path) -> list[Kernel]:
        log = run(clang(source, defines, "-O3", "--target=amdgcn-amd-amdhsa",
                        f"-mcpu={architecture}", "-nogpulib", "-Wno-linker-warnings",
                        "-Xclang", "-mlink-builtin-bitcode",
                        "-Xclang", str(LIBCLC / "amdgcn--amdhsa.bc"),
                        "-Rpass-analysis=kernel-resource-usage", "-c", "-o", "k.o", source.path),
                  folder)
        return parse_amd(log)

    return compile_for


def parse_amd(log: str) -> list[Kernel]:
    def number(part: str, label: str) -> int:
        match = re.search(rf"remark:\s+{re.escape(label)}: (\d+)", part)
        if not match:
            raise Problem(f"clang names no `{label}`:\n{part}")
        return int(match[1])

    return [
        Kernel(part.split()[0], str(number(part, "VGPRs")), number(part, "LDS Size [bytes/block]"),
               number(part, "ScratchSize [bytes/lane]"), number(part, "VGPRs Spill"))
        for part in log.split("remark: Function Name: ")[1:]
    ]


def intel(device: str) -> Callable[[Source, list[str], pathlib.Path], list[Kernel]]:
    def compile_for(source: Source, defines: list[str], folder: pathlib.Path) -> list[Kernel]:
        options = " ".join(["-cl-std=CL1.2", f"-I {source.path.parent}", *defines])
        log = run(["ocloc", "compile", "-file", source.path, "-device", device,
                   "-options", options, "-internal_options", "-cl-intel-allow-zebin",
                   "-output", "k", "-out_dir", folder, "-output_no_suffix"], folder)
        binary = folder / "k"
        if not binary.exists():
            raise Problem(f"ocloc wrote no binary:\n{log}")
        return parse_intel(binary.read_bytes().decode("latin-1"), log)

    return compile_for


def parse_intel(binary: str, log: str) -> list[Kernel]:
    """From the `.ze_info` text inside the binary, and from the compiler's warnings of spills."""
    start, end = binary.find("\nkernels:"), binary.find("\nkernels_misc_info:")
    if start < 0:
        raise Problem(f"ocloc's binary names no kernels:\n{log}")
    kernels = []
    for part in re.split(r"\n  - name: +", binary[start:end if end > start else None])[1:]:
        name = part.split("\n")[0].strip(" '\"")
        if name.startswith("Intel_"):  # helpers of the runtime's own
            continue
        values = {key: int(value) for key, value in
                  re.findall(r"\b(simd_size|slm_size): +(\d+)", part)}
        spills = re.search(rf"kernel {re.escape(name)}\s.*?spilled around (\d+)", log)
        kernels.append(Kernel(
            name, f"SIMD{values.get('simd_size', '?')}", values.get("slm_size", 0),
            spills=int(spills[1]) if spills else 0))
    return kernels


@dataclasses.dataclass
class Target:
    name: str
    compile: Callable[[Source, list[str], pathlib.Path], list[Kernel]]
    tools: list[str]
    spills_fail: bool = True
    makes_kernels: bool = True

    def builds(self, source: Source) -> list[list[str]]:
        """What of a file is built: those for every tile differ little from target to target."""
        has_tiles = not self.makes_kernels or self.name == NEWEST
        return source.builds + source.of_tiles if has_tiles else source.builds

    def takes(self, source: Source) -> bool:
        return not source.instructions or not self.makes_kernels or "nvdisasm" in self.tools

    def missing_tool(self) -> str | None:
        for tool in self.tools:
            if tool in ("ptxas", "nvdisasm"):
                if nvidia_tool(tool) is None:
                    return f"no {tool} below {VENV} (`make test` installs it)"
            elif tool == "libclc":
                if not LIBCLC.exists():
                    return "libclc-19 is not installed"
            elif shutil.which(tool) is None:
                return f"{tool} is not installed (`Scripts/install-packages.sh test`)"
        return None


TARGETS = [
    Target("strict", strict, ["clang-19"], makes_kernels=False),
    Target("sm_80", nvidia("sm_80"), ["clang-19", "libclc", "ptxas", "nvdisasm"]),
    Target(NEWEST, nvidia(NEWEST), ["clang-19", "libclc", "ptxas", "nvdisasm"]),
    Target("gfx1100", amd("gfx1100"), ["clang-19", "libclc"]),
    Target("gfx90a", amd("gfx90a"), ["clang-19", "libclc"]),
    Target("tgllp", intel("tgllp"), ["ocloc"], spills_fail=False),
    Target("acm-g10", intel("acm-g10"), ["ocloc"], spills_fail=False),
    Target("pvc", intel("pvc"), ["ocloc"], spills_fail=False),
]


@dataclasses.dataclass
class Outcome:
    """A file on a target: kernels by the index of their build."""

    source: Source
    target: Target
    kernels: dict[int, list[Kernel]]
    problem: str | None = None


def check(source: Source, target: Target) -> Outcome:
    outcome = Outcome(source, target, {})
    problems = []
    for index, defines in enumerate(target.builds(source)):
        label = " ".join(defines) or "generic"
        try:
            with tempfile.TemporaryDirectory(prefix="semg-kernels-") as folder:
                made = target.compile(source, defines, pathlib.Path(folder))
            outcome.kernels[index] = made
            if target.makes_kernels:
                verify(source, defines, target, made)
        except Problem as problem:
            problems.append(f"{source.name} for {target.name}, {label}: {problem}")
    made_ones = {kernel.name for made in outcome.kernels.values() for kernel in made}
    if target.makes_kernels and not problems and not set(source.kernels) <= made_ones:
        missing = sorted(set(source.kernels) - made_ones)
        problems.append(f"{source.name} for {target.name}: no build makes {', '.join(missing)}")
    outcome.problem = "\n".join(problems) or None
    return outcome


def verify(source: Source, defines: list[str], target: Target, made: list[Kernel]) -> None:
    """A build for one shape may be of some of the file's kernels; the generic one has them all,
    but in files for one kind of GPU, whose builds are never for all shapes."""
    names = {kernel.name for kernel in made}
    is_partial = bool(defines or source.instructions)
    if not set(source.kernels) <= names and not (is_partial and names):
        missing = sorted(set(source.kernels) - names)
        raise Problem(f"the compiler made no {', '.join(missing)}")
    spilled = [f"{kernel.name} ({kernel.spills})" for kernel in made if kernel.spills]
    if spilled and target.spills_fail:
        raise Problem(f"registers spill in {', '.join(spilled)}")


def rows(outcomes: list[Outcome], targets: list[Target]) -> Iterator[list[str]]:
    by_file: dict[str, dict[str, Outcome]] = {}
    for outcome in outcomes:
        by_file.setdefault(outcome.source.name, {})[outcome.target.name] = outcome
    for file, made in by_file.items():
        source = next(iter(made.values())).source
        for index, defines in enumerate(source.builds + source.of_tiles):
            for name in source.kernels:
                found = {
                    target: kernel
                    for target, outcome in made.items()
                    for kernel in outcome.kernels.get(index, []) if kernel.name == name
                }
                if not found:
                    continue
                local = next((kernel.local_bytes for kernel in found.values()), 0)
                yield [file, name, " ".join(defines) or "generic", str(local)] + [
                    found[target.name].cell() if target.name in found else "–"
                    for target in targets
                ]


def table(outcomes: list[Outcome]) -> str:
    targets = [target for target in TARGETS if target.makes_kernels]
    head = ["file", "kernel", "build", "local bytes"] + [target.name for target in targets]
    lines = [head, ["---"] * len(head), *rows(outcomes, targets)]
    return (
        "Registers a work item (NVIDIA's, AMD's vector ones; Intel: SIMD width chosen), bytes of"
        " local memory a work group.\n\n"
        + "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n")


def check_all(paths: list[pathlib.Path]) -> list[Outcome]:
    """Every file on every target whose tools are here, two at a time."""
    targets = [target for target in TARGETS if target.missing_tool() is None]
    jobs = []
    for source in map(read_source, paths):
        jobs += [(source, target) for target in targets
                 if target.takes(source) and (source.kernels or not target.makes_kernels)]
    # The longest first, so that both end at the same time.
    order = sorted(range(len(jobs)), key=lambda i: -len(jobs[i][1].builds(jobs[i][0])))
    with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
        made = dict(zip(order, pool.map(lambda i: check(*jobs[i]), order), strict=True))
    return [made[i] for i in range(len(jobs))]


def main(paths: list[pathlib.Path]) -> int:
    paths = paths or sorted(KERNELS.glob("*.cl"))
    report = REPORTS / "kernels.xml"
    if not paths:
        sys.exit(f"no kernels below {KERNELS}")
    try:
        outcomes = check_all(paths)
    except Problem as problem:
        reports.write(report, "kernels", [("build lines", str(problem))])
        print(problem)
        return 1
    skipped = {
        f"every kernel for {target.name}": reason
        for target in TARGETS if (reason := target.missing_tool())
    }
    reports.write(
        report, "kernels",
        [(f"{outcome.source.name} for {outcome.target.name}", outcome.problem)
         for outcome in outcomes],
        skipped=skipped)
    text = table(outcomes)
    (REPORTS / "kernels.md").write_text(text)
    print(text)
    for name, reason in skipped.items():
        print(f"skipped: {name}: {reason}")
    problems = [outcome.problem for outcome in outcomes if outcome.problem]
    print("\n".join(problems))
    return 1 if problems else 0


if __name__ == "__main__":
    if any(argument.startswith("-") for argument in sys.argv[1:]):
        sys.exit(__doc__)
    sys.exit(main([pathlib.Path(argument).resolve() for argument in sys.argv[1:]]))
