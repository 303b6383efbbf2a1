"""Where tests for a file belong: with the other tests of its project. Reads the disk, and changes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from starfill.text.document import Document

FOLDERS = ("tests", "test")
_NAMES = {  # by language: the name of a file with tests for NAME, without its extension
    "c": "test_{}",
    "cpp": "test_{}",
    "csharp": "{}Tests",
    "dart": "{}_test",
    "go": "{}_test",
    "java": "{}Test",
    "javascript": "{}.test",
    "javascriptreact": "{}.test",
    "kotlin": "{}Test",
    "lua": "{}_spec",
    "php": "{}Test",
    "python": "test_{}",
    "ruby": "{}_test",
    "rust": "{}",
    "scala": "{}Test",
    "swift": "{}Tests",
    "typescript": "{}.test",
    "typescriptreact": "{}.test",
}
_USUAL = "test_{}"
_BESIDE = frozenset({"go"})  # tests are in the same folder as the code, and nowhere else


@dataclass(frozen=True, slots=True)
class Home:
    """A file for tests. text: its content, None if it doesn't exist yet."""

    path: Path
    text: str | None


def file_name(path: Path, language: str) -> str:
    """The name of the file with tests for this file. A file of tests keeps its name."""
    if _is_of_tests(path, language):
        return path.name
    return _NAMES.get(language, _USUAL).format(path.stem) + path.suffix


def _is_of_tests(path: Path, language: str) -> bool:
    before, _, after = _NAMES.get(language, _USUAL).partition("{}")
    return bool(before or after) and path.stem.startswith(before) and path.stem.endswith(after)


def home_of(path: Path, language: str, folders: Sequence[Path]) -> Home | None:
    """The file for the tests of `path`; None if the workspace folders have no place for them. Blocks."""
    roots = [folder for folder in folders if path.is_relative_to(folder)]
    if not roots:
        return None
    root = max(roots, key=lambda folder: len(folder.parts))
    for file in _candidates(root, path.relative_to(root), language):
        if not file.resolve().is_relative_to(root.resolve()):
            continue  # a link that leads out of the project
        try:
            return Home(file, file.read_bytes().decode() if file.exists() else None)
        except (OSError, UnicodeDecodeError):
            continue
    return None


def _candidates(root: Path, inside: Path, language: str) -> Iterator[Path]:
    """Existing files, then places for a new one; the best first.

    `server/text/position.py` may be tested in tests/server/text, tests/text or tests, whichever of these exists.
    """
    name, parts = file_name(inside, language), inside.parent.parts
    if _is_of_tests(inside, language) or language in _BESIDE or any(part in FOLDERS for part in parts):
        yield root / inside.parent / name
        return
    homes = [root.joinpath(folder, *parts[start:]) for folder in FOLDERS for start in range(len(parts) + 1)]
    homes = [home for home in homes if home.is_dir()]
    yield from (home / name for home in homes if (home / name).exists())
    yield from (home / name for home in homes)


def appended(document: Document, tests: str) -> str:
    """What to add at the end of a document, with its line ends."""
    end = document.slice(len(document) - 2, len(document))
    ended = "" if not end or end[-1] in "\r\n" else "\n"
    gap = "" if not end.strip() and len(document) <= 2 else "\n\n" if document.language_id == "python" else "\n"
    added = f"{ended}{gap}{_plain(tests)}\n"
    return added.replace("\n", document.eol)


def _plain(tests: str) -> str:
    return tests.replace("\r\n", "\n").replace("\r", "\n").strip("\n")
