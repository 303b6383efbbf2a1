"""Corpus of the bundled model: named PyPI packages (packages.ini) and Python's standard library, as JSONL.

Writes `train.jsonl` and `held_out.jsonl` to the build folder, one file a line: {"package", "path", "text"}. Run once:
`python training/corpus.py`. Nothing of the packages is executed; only their `.py` files are read.
"""

from __future__ import annotations

import argparse
import configparser
import email
import hashlib
import json
import re
import subprocess
import sys
import sysconfig
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

HERE = Path(__file__).parent

VENDORED = re.compile(r"(^|/)(_?vendor(ed)?(_packages)?|_?extern(als?)?|third_?party|blib2to3)(/|$)")
TEST = re.compile(r"(^|/)(tests?|testing|idle_test|conftest\.py|test_[^/]*\.py|[^/]*_tests?\.py)(/|$)")
GENERATED = re.compile(r"do not (edit|modify)|auto-?generated|generated (by|from|automatically)", re.IGNORECASE)
STDLIB_SKIPPED = re.compile(r"^(site-packages|test|lib2to3|encodings|pydoc_data|turtledemo|ensurepip|config-)")

MIN_CHARS, MAX_CHARS = 300, 150_000
MAX_LINE = 400
TEST_SHARE = 8  # one test file in so many is kept
WINDOW_LINES = 4  # lines in a row that count as a copied passage
COPIED_SHARE = 0.1  # of a file's passages: more found in the held-out packages, and the file is left out


@dataclass(frozen=True)
class SourceFile:
    """One Python file; `path` is its path inside the package, `text` has "\\n" line ends."""

    package: str
    path: str
    text: str


def declared_licence(metadata: str) -> str:
    """The licence of a wheel's METADATA: License-Expression, else the classifiers, else the License field."""
    fields = email.message_from_string(metadata)
    if expression := fields.get("License-Expression"):
        return expression
    names = [c.split("::")[-1].strip() for c in fields.get_all("Classifier", []) if c.startswith("License")]
    return " AND ".join(names) or (fields.get("License") or "").strip()


def is_permissive(licence: str, permissive: list[str]) -> bool:
    """True if every licence that the expression names is in the list (also where an OR would let us choose)."""
    return all(part in permissive for part in re.split(r" AND | OR ", licence))


def is_wanted(path: str, text: str) -> bool:
    """False for files that teach little or aren't a person's writing: vendored, generated, huge, tables, most tests."""
    if VENDORED.search(path) or not MIN_CHARS <= len(text) <= MAX_CHARS:
        return False
    if GENERATED.search(text[:600]) or max(map(len, text.split("\n"))) > MAX_LINE:
        return False
    if sum(map(str.isalpha, text)) < 0.35 * len(text):
        return False
    digest = hashlib.sha256(text.encode()).digest()
    return not TEST.search(path) or digest[0] % TEST_SHARE == 0


def passages(text: str) -> set[int]:
    """Hashes of every WINDOW_LINES non-blank lines in a row, for finding copies."""
    lines = [line.strip() for line in text.split("\n") if len(line.strip()) > 3]
    return {hash(tuple(lines[i : i + WINDOW_LINES])) for i in range(len(lines) - WINDOW_LINES + 1)}


def decode(data: bytes) -> str | None:
    """UTF-8 text with "\\n" line ends, or None."""
    try:
        return data.decode("utf-8").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError:
        return None


def download(name: str, version: str, wheels: Path) -> Path:
    """The package's wheel, downloaded by name with pip if it isn't there yet."""
    stem = re.sub(r"[-_.]+", "_", name).lower() + f"-{version}-"
    pattern = re.compile(re.escape(stem).replace("_", "[-_.]"), re.IGNORECASE)
    found = [p for p in wheels.glob("*.whl") if pattern.match(p.name)]
    if not found:
        target = ["-d", str(wheels), f"{name}=={version}"]
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:", *target]
        subprocess.run(command, check=True)
        found = [p for p in wheels.glob("*.whl") if pattern.match(p.name)]
    return found[0]


def wheel_files(wheel: Path, package: str) -> Iterator[SourceFile]:
    with zipfile.ZipFile(wheel) as archive:
        for name in sorted(archive.namelist()):
            if not name.endswith(".py") or ".data/" in name:
                continue
            if (text := decode(archive.read(name))) is not None:
                yield SourceFile(package, name, text)


def wheel_licence(wheel: Path) -> str:
    with zipfile.ZipFile(wheel) as archive:
        name = next(n for n in archive.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", n))
        return declared_licence(archive.read(name).decode("utf-8"))


def stdlib_files() -> Iterator[SourceFile]:
    root = Path(sysconfig.get_paths()["stdlib"])
    for path in sorted(root.rglob("*.py")):
        relative = path.relative_to(root).as_posix()
        if not STDLIB_SKIPPED.match(relative) and (text := decode(path.read_bytes())) is not None:
            yield SourceFile("python", relative, text)


def thin(files: list[SourceFile], max_chars: int) -> list[SourceFile]:
    """At most `max_chars` characters of one package, files chosen by hash so that the choice is repeatable."""
    kept, total = [], 0
    for file in sorted(files, key=lambda f: hashlib.sha256(f.path.encode()).digest()):
        if total + len(file.text) <= max_chars:
            kept.append(file)
            total += len(file.text)
    return kept


@dataclass(frozen=True)
class Listing:
    """packages.ini: name -> (version, declared licence) of each half, and the licences that are accepted."""

    train: dict[str, tuple[str, str]]
    held_out: dict[str, tuple[str, str]]
    permissive: list[str]


def read_listing(path: Path) -> Listing:
    ini = configparser.ConfigParser(delimiters=("=",), interpolation=None)
    ini.read_string(path.read_text(encoding="utf-8"))
    entries = {half: {n: v.partition(" ") for n, v in ini[half].items()} for half in ("train", "held_out")}
    train, held_out = ({n: (v[0], v[2]) for n, v in half.items()} for half in entries.values())
    return Listing(train, held_out, permissive=ini["licences"]["permissive"].split("\n")[1:])


def fetch(packages: dict[str, tuple[str, str]], permissive: list[str], wheels: Path) -> Iterator[list[SourceFile]]:
    """The wanted files of each package in turn; raises SystemExit if a licence isn't the one recorded."""
    for name, (version, recorded) in tqdm(packages.items(), desc="packages"):
        wheel = download(name, version, wheels)
        licence = wheel_licence(wheel)
        if licence != recorded or not is_permissive(licence, permissive):
            raise SystemExit(f"{name} {version} declares the licence {licence!r}, packages.ini says {recorded!r}")
        yield [f for f in wheel_files(wheel, name) if is_wanted(f.path, f.text)]


def write(path: Path, files: list[SourceFile]) -> None:
    with path.open("w", encoding="utf-8") as out:
        for file in files:
            out.write(json.dumps({"package": file.package, "path": file.path, "text": file.text}) + "\n")
    print(f"{path.name}: {len(files)} files, {sum(len(f.text) for f in files) / 1e6:.1f} M characters")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--build", type=Path, default=HERE / "build")
    parser.add_argument("--max-chars", type=int, default=1_200_000, help="of one package (the stdlib is exempt)")
    args = parser.parse_args()
    wheels: Path = args.build / "wheels"
    wheels.mkdir(parents=True, exist_ok=True)
    listing = read_listing(HERE / "packages.ini")

    held_out = [f for files in fetch(listing.held_out, listing.permissive, wheels) for f in files]
    known = set().union(*(passages(f.text) for f in held_out))
    seen = {hashlib.sha256(f.text.encode()).digest() for f in held_out}
    dropped: Counter[str] = Counter()
    train: list[SourceFile] = []
    groups = [[f for f in stdlib_files() if is_wanted(f.path, f.text)]]
    groups += [thin(files, args.max_chars) for files in fetch(listing.train, listing.permissive, wheels)]
    for file in (f for group in groups for f in group):
        digest = hashlib.sha256(file.text.encode()).digest()
        own = passages(file.text)
        if digest in seen:
            dropped["duplicate"] += 1
        elif own and len(own & known) > COPIED_SHARE * len(own):
            dropped["like held-out"] += 1
        else:
            seen.add(digest)
            train.append(file)
    write(args.build / "train.jsonl", train)
    write(args.build / "held_out.jsonl", held_out)
    print("left out:", dict(dropped))


if __name__ == "__main__":
    main()
