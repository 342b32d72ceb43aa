"""What compilers left on the machine, as archives in pieces small enough to be carried.

Each kind lies in a folder of its own: `programs` (ours for OpenCL, tuned tiles), `cuda` (the
driver's), `triton`, `inductor` (PyTorch's).
"""

import lzma
import pathlib
import shutil
import tarfile

KINDS = ("programs", "cuda", "triton", "inductor")
PIECE = 15 * 2**20  # bytes


def environment(folder: pathlib.Path) -> dict[str, str]:
    """Where all of them are told to keep what they compile."""
    return {
        "XDG_CACHE_HOME": str(folder / "programs"), "CUDA_CACHE_PATH": str(folder / "cuda"),
        "CUDA_CACHE_MAXSIZE": str(2**30), "TRITON_CACHE_DIR": str(folder / "triton"),
        "TORCHINDUCTOR_CACHE_DIR": str(folder / "inductor")}


class Pieces:
    """A file to write to whose content goes into NAME.00, NAME.01, …"""

    def __init__(self, path: pathlib.Path, size: int = PIECE):
        self.path, self.size, self.written, self.file = path, size, 0, None
        self.paths: list[pathlib.Path] = []

    def write(self, content: bytes) -> int:
        view = memoryview(content)
        while view:
            if self.file is None or self.written == self.size:
                self.close()
                self.paths.append(self.path.with_name(f"{self.path.name}.{len(self.paths):02}"))
                self.file, self.written = self.paths[-1].open("wb"), 0
            count = self.file.write(view[: self.size - self.written])
            self.written += count
            view = view[count:]
        return len(content)

    def flush(self) -> None:
        if self.file is not None:
            self.file.flush()

    def close(self) -> None:
        if self.file is not None:
            self.file.close()
            self.file = None


def pack(folder: pathlib.Path, out: pathlib.Path, size: int = PIECE) -> dict[str, dict]:
    """Writes OUT/cache-KIND.tar.xz.NN of each kind that holds anything; {kind: {"files", "bytes",
    "pieces"}}."""
    found = {}
    for kind in KINDS:
        files = sorted(path for path in (folder / kind).rglob("*")
                       if path.is_file() and not path.is_symlink())
        for old in out.glob(f"cache-{kind}.tar.xz.*"):
            old.unlink()
        if not files:
            continue
        pieces = Pieces(out / f"cache-{kind}.tar.xz", size)
        with (lzma.open(pieces, "wb", preset=1) as packed,
              tarfile.open(fileobj=packed, mode="w|") as tar):
            for path in files:
                try:
                    tar.add(path, path.relative_to(folder), recursive=False)
                except FileNotFoundError:
                    continue  # of a compiler that was stopped just now
        pieces.close()
        found[kind] = {"files": len(files), "pieces": [path.name for path in pieces.paths],
                       "bytes": sum(path.stat().st_size for path in pieces.paths)}
    return found


class Joined:
    """Pieces as one file to read from."""

    def __init__(self, paths: list[pathlib.Path]):
        self.rest, self.file = list(paths), None

    def read(self, count: int) -> bytes:
        while True:
            if self.file is None:
                if not self.rest:
                    return b""
                self.file = self.rest.pop(0).open("rb")
            if content := self.file.read(count):
                return content
            self.close()

    def close(self) -> None:
        if self.file is not None:
            self.file.close()
            self.file = None


def unpack(source: pathlib.Path, folder: pathlib.Path) -> dict[str, str]:
    """Fills a folder from the pieces that lie in `source`; {kind: what became of it}. A kind that is
    damaged or lacks a piece is left out: it is compiled again."""
    became = {}
    for kind in KINDS:
        paths = sorted(source.glob(f"cache-{kind}.tar.xz.*"))
        if not paths:
            became[kind] = "not there"
            continue
        pieces = Joined(paths)
        try:
            with tarfile.open(fileobj=pieces, mode="r|xz") as tar:
                count = 0
                for member in tar:
                    place = pathlib.PurePosixPath(member.name)
                    if not member.isfile() or place.is_absolute() or ".." in place.parts:
                        raise tarfile.TarError(f"{member.name} has no place in a cache")
                    tar.extract(member, folder, set_attrs=False)
                    count += 1
            became[kind] = f"{count} files"
        except (tarfile.TarError, lzma.LZMAError, OSError, EOFError) as error:
            # Half a file would be taken for a whole one.
            shutil.rmtree(folder / kind, ignore_errors=True)
            became[kind] = f"left out: {error}"
        finally:
            pieces.close()
    return became
