"""Files packed for a machine that only small files reach, and back: `python training/travel.py pack OUT FILE...`.

Writes OUT/000, 001, ... of at most 16 MiB (a tar, compressed with --compress: code shrinks to a fifth, weights don't)
and OUT/pieces.json with their hashes. `python training/travel.py unpack OUT FOLDER` checks the hashes and unpacks.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import lzma
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

PIECE = 16 << 20  # bytes


def pack(out: Path, paths: Sequence[Path], compress: bool, piece: int = PIECE) -> list[str]:
    """Packs files and folders, each under its own name, into pieces; the names of the pieces."""
    out.mkdir(parents=True, exist_ok=True)
    for old in out.iterdir():
        old.unlink()
    hashes: dict[str, str] = {}
    with TemporaryFile() as whole:
        with tarfile.open(fileobj=whole, mode="w:xz" if compress else "w") as archive:
            for path in paths:
                archive.add(path.resolve(), arcname=path.name)
        whole.seek(0)
        for number, data in enumerate(iter(lambda: whole.read(piece), b"")):
            name = f"{number:03}"
            (out / name).write_bytes(data)
            hashes[name] = hashlib.sha256(data).hexdigest()
    (out / "pieces.json").write_text(json.dumps(hashes, indent=1) + "\n")
    return list(hashes)


def pieces(folder: Path) -> Iterator[bytes]:
    """The pieces in their order, each checked."""
    for name, expected in json.loads((folder / "pieces.json").read_text()).items():
        data = (folder / name).read_bytes() if (folder / name).exists() else b""
        if hashlib.sha256(data).hexdigest() != expected:
            raise SystemExit(f"{folder / name} is missing or damaged: bring it over again")
        yield data


def unpack(folder: Path, out: Path) -> None:
    """Unpacks what `pack` wrote. Raises SystemExit for a piece that is missing or damaged."""
    out.mkdir(parents=True, exist_ok=True)
    with TemporaryFile() as whole:
        whole.writelines(pieces(folder))
        whole.seek(0)
        with tarfile.open(fileobj=reader(whole), mode="r:") as archive:
            archive.extractall(out, filter="data")


def reader(whole: IO[bytes]) -> IO[bytes]:
    """The tar in a file that may be compressed."""
    compressed = whole.read(6) == b"\xfd7zXZ\x00"
    whole.seek(0)
    return lzma.open(whole) if compressed else whole  # type: ignore[return-value]


def main() -> None:
    parser = argparse.ArgumentParser(description="Pack files into small pieces, or unpack them.")
    commands = parser.add_subparsers(dest="command", required=True)
    packing = commands.add_parser("pack")
    packing.add_argument("out", type=Path)
    packing.add_argument("paths", type=Path, nargs="+")
    packing.add_argument("--compress", action="store_true")
    unpacking = commands.add_parser("unpack")
    unpacking.add_argument("folder", type=Path)
    unpacking.add_argument("out", type=Path)
    args = parser.parse_args()
    if args.command == "pack":
        names = pack(args.out, args.paths, args.compress)
        print(f"{args.out}: {len(names)} pieces, {sum((args.out / n).stat().st_size for n in names) / 2**20:.1f} MiB")
    else:
        unpack(args.folder, args.out)


if __name__ == "__main__":
    main()
