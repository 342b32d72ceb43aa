"""Packs recordings (CSV of decimal numbers) into one file, and unpacks the same bytes again.

usage: recordings_cache.py pack DATA CACHE | unpack CACHE DIRECTORY

Needs the standard library alone. A file whose values all have the same number of decimals is kept
as exact integers (value times a power of ten), a byte plane at a time over all files: the high
bytes of small signals hardly vary, so that whatever compresses the cache afterwards finds little
left to do. Whatever does not come back byte for byte is kept as it is.
"""

import array
import json
import pathlib
import struct
import sys

MAGIC = b"recordings 1\n"
# Added to every value: the highest of four bytes is then constant for |value| < 2^23.
BIAS = 0x4080_0000
HEAD = struct.Struct("<Q")


class CacheError(Exception):
    """A cache that cannot be read."""


def parse(text: bytes) -> tuple[dict, array.array] | None:
    """The layout and the biased integers of a file, or None where they would not give it back."""
    end = b"\r\n" if b"\r\n" in text[:4096] else b"\n"
    header, _, body = text.partition(end)
    if body.endswith(end):
        body, closed = body[: -len(end)], True
    else:
        closed = False
    first = body.partition(end)[0].split(b",")
    digits = len(first[0].partition(b".")[2])
    layout = {
        "header": header.decode("latin-1"), "end": end.decode(), "closed": closed,
        "columns": len(first), "digits": digits,
    }
    try:
        # Zero has no sign among integers: -0 is kept as a number that no signal reaches.
        signed = body.replace(b"-0." + b"0" * digits, b"%d" % -BIAS)
        numbers = signed.replace(b".", b"").replace(end, b",").split(b",")
        values = array.array("I", [int(number) + BIAS for number in numbers])
    except (ValueError, OverflowError):
        return None
    layout["rows"] = len(values) // layout["columns"]
    if len(values) % layout["columns"] or restore(layout, values) != text:
        return None
    return layout, values


def restore(layout: dict, values: array.array) -> bytes:
    """The text of a file. v / 10^d is the double nearest to the decimal, so its digits return."""
    end, scale = layout["end"], 10 ** layout["digits"]
    row = ",".join([f"%.{layout['digits']}f"] * layout["columns"])
    numbers = tuple([(v - BIAS) / scale if v else -0.0 for v in values])
    body = end.join([row] * layout["rows"]) % numbers
    return (layout["header"] + end + body + (end if layout["closed"] else "")).encode("latin-1")


def pack(data: pathlib.Path, cache: pathlib.Path) -> dict[str, int]:
    """Writes every CSV below `data`; returns how many became integers and how many stayed text."""
    paths = sorted(path for path in data.rglob("*") if path.suffix.lower() == ".csv")
    everything = array.array("I")
    texts: list[bytes] = []
    files = []
    for path in paths:
        text = path.read_bytes()
        entry = {"path": path.relative_to(data).as_posix()}
        if parsed := parse(text):
            entry |= parsed[0]
            everything.extend(parsed[1])
        else:
            entry["bytes"] = len(text)
            texts.append(text)
        files.append(entry)
    if sys.byteorder == "big":
        everything.byteswap()
    raw = everything.tobytes()
    index = json.dumps({"values": len(everything), "files": files}, separators=(",", ":")).encode()
    with cache.open("wb") as out:
        out.write(MAGIC + HEAD.pack(len(index)) + index)
        for plane in (3, 2, 1, 0):
            out.write(raw[plane::4])
        out.writelines(texts)
    return {"exact": len(files) - len(texts), "as text": len(texts)}


def unpack(cache: pathlib.Path, directory: pathlib.Path) -> int:
    """Writes the recordings below `directory`; returns their number.

    - Throws: CacheError where the file is none of ours or ends early.
    """
    content = cache.read_bytes()
    start = len(MAGIC) + HEAD.size
    if content[: len(MAGIC)] != MAGIC or len(content) < start:
        raise CacheError(f"{cache}: no cache of recordings of this version")
    (length,) = HEAD.unpack_from(content, len(MAGIC))
    index = json.loads(content[start : start + length])
    start += length
    count = index["values"]
    raw = bytearray(4 * count)
    try:
        for plane in (3, 2, 1, 0):
            raw[plane::4] = content[start : start + count]
            start += count
    except ValueError as error:
        raise CacheError(f"{cache}: ends early") from error
    values = array.array("I", bytes(raw))
    if sys.byteorder == "big":
        values.byteswap()
    taken = 0
    for entry in index["files"]:
        path = directory / entry["path"]
        path.parent.mkdir(parents=True, exist_ok=True)
        if "bytes" in entry:
            text = content[start : start + entry["bytes"]]
            start += entry["bytes"]
            if len(text) != entry["bytes"]:
                raise CacheError(f"{cache}: ends early")
        else:
            size = entry["rows"] * entry["columns"]
            text = restore(entry, values[taken : taken + size])
            taken += size
        path.write_bytes(text)
    return len(index["files"])


if __name__ == "__main__":
    if len(sys.argv) != 4 or sys.argv[1] not in ("pack", "unpack"):
        sys.exit(__doc__)
    source, target = pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
    print(pack(source, target) if sys.argv[1] == "pack" else unpack(source, target))
