"""Compiles the tensor-core kernels at the networks' shapes for an NVIDIA GPU that is not here.

usage: compile_launches.py FOLDER [ARCHITECTURE]      (make carry; default: sm_90)

Of each line of launches.txt FOLDER gets PTX and, where ptxas is at hand, a cubin; kernels/ has the
sources, and manifest.json says what each kernel is given. The compilers are called as
Scripts/check_kernels.py calls them. second_way.py runs what lies there.
"""

import concurrent.futures
import json
import pathlib
import re
import shutil
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(ROOT / "Scripts"))

import check_kernels  # noqa: E402
import kernel_launches  # noqa: E402

ARCHITECTURE = "sm_90"

class CompileError(Exception):
    """A kernel that does not become what is wanted; its text is for people."""


def parameters(code: str, kernel: str) -> list[list[str]]:
    """(type, name) of a kernel's parameters in preprocessed OpenCL C; pointers are "pointer"."""
    found = re.search(rf"\bvoid\s+{kernel}\s*\(", code)
    if not found:
        raise CompileError(f"no kernel {kernel} in what its file declares")
    listed = code[found.end() : code.index("{", found.end())].rpartition(")")[0]
    result = []
    for parameter in re.sub(r"\s+", " ", listed).split(","):
        name = re.search(r"(\w+) *$", parameter)[1]
        words = parameter[: parameter.rindex(name)].replace("const", " ").split()
        kind = "pointer" if "*" in parameter else " ".join(words)
        if kind not in ("pointer", "int", "uint", "float", "ulong"):
            raise CompileError(f"{kernel}: nobody knows how to pass `{parameter.strip()}`")
        result.append([kind, name])
    return result


def declared(source: check_kernels.Source, launch, folder: pathlib.Path) -> list[list[str]]:
    code = check_kernels.run(
        check_kernels.clang(source, launch.defines, "--target=nvptx64--nvidiacl", "-E", "-P",
                            "-D__NV_CL_C_VERSION=120", source.path), folder)
    return parameters(code, launch.kernel)


def describe(launch: kernel_launches.Launch, binary: str) -> dict:
    """An entry of the manifest. What the kernel asks for and nobody gives it is refused here rather
    than there."""
    with tempfile.TemporaryDirectory(prefix="semg-launch-") as folder:
        named = declared(source_of(launch), launch, pathlib.Path(folder))
    kernel_launches.bind(named, launch.case(1))
    return {"kernel": launch.kernel, "sizes": launch.sizes, "rate": launch.rate,
            "shapes": launch.shapes, "defines": launch.defines, "parameters": named, "binary": binary,
            "source": f"kernels/{launch.file}.cl"}


def build(launch: kernel_launches.Launch, binary: str, target: pathlib.Path, architecture: str,
          assembles: bool) -> None:
    """The program of a launch: `binary`.ptx and .cubin in `target`."""
    with tempfile.TemporaryDirectory(prefix="semg-launch-") as name:
        folder = pathlib.Path(name)
        check_kernels.nvidia_ptx(source_of(launch), launch.defines, architecture, folder)
        shutil.copy(folder / "k.ptx", target / f"{binary}.ptx")
        if assembles:
            check_kernels.assemble(architecture, folder)
            shutil.copy(folder / "k.cubin", target / f"{binary}.cubin")


def source_of(launch: kernel_launches.Launch) -> check_kernels.Source:
    return check_kernels.read_source(check_kernels.KERNELS / f"{launch.file}.cl")


def missing_tool() -> str | None:
    """Why nothing can be compiled here."""
    target = next(each for each in check_kernels.TARGETS if each.name == ARCHITECTURE)
    for tool in ("clang-19", "libclc"):
        if reason := check_kernels.Target(target.name, target.compile, [tool]).missing_tool():
            return reason
    return None


def compile_all(target: pathlib.Path, architecture: str = ARCHITECTURE) -> dict:
    """Fills a folder; returns {"launches": number, "cubins": number, "architecture"}.

    - Throws: `CompileError`, `check_kernels.Problem`, `kernel_launches.LaunchError`.
    """
    if reason := missing_tool():
        raise CompileError(f"the kernels cannot be compiled for {architecture} here: {reason}")
    assembles = check_kernels.nvidia_tool("ptxas") is not None
    target.mkdir(parents=True, exist_ok=True)
    shutil.copytree(check_kernels.KERNELS, target / "kernels", dirs_exist_ok=True,
                    ignore=lambda _, names: [name for name in names if not name.endswith(".cl")])
    launches = kernel_launches.read(HERE / "launches.txt")
    # Kernels of one file and the same sizes are one program.
    programs: dict[tuple, str] = {}
    for launch in launches:
        name = f"{len(programs):02}-{launch.kernel}"
        programs.setdefault((launch.file, *launch.defines), name)
    names = [programs[launch.file, *launch.defines] for launch in launches]
    first = {name: launch for name, launch in reversed(list(zip(names, launches, strict=True)))}
    with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
        list(pool.map(lambda name: build(first[name], name, target, architecture, assembles), first))
        entries = list(pool.map(describe, launches, names))
    (target / "manifest.json").write_text(json.dumps(
        {"architecture": architecture, "launches": entries}, indent=1) + "\n")
    return {"launches": len(entries), "cubins": len(first) if assembles else 0,
            "architecture": architecture}


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    try:
        print(json.dumps(compile_all(pathlib.Path(sys.argv[1]), *sys.argv[2:])))
    except (CompileError, check_kernels.Problem, kernel_launches.LaunchError) as problem:
        sys.exit(f"compile_launches.py: {problem}")
