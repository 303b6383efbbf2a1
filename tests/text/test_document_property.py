"""Thousands of random edit sequences: a document must equal two independent oracles, for any size of its pieces."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from starfill.text.document import Document
from starfill.text.pieces import belong_together
from starfill.text.position import Encoding, units
from text import naive
from text.sequences import Sequence, sequence

ORACLE = Path(__file__).parent / "oracle"
SIZES = {"as shipped": None, "tiny pieces": (3, 7), "pieces of four": (2, 4)}


@pytest.fixture(params=SIZES.values(), ids=list(SIZES))
def piece_size(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param:
        monkeypatch.setattr("starfill.text.document.MIN", request.param[0])
        monkeypatch.setattr("starfill.text.pieces.MAX", request.param[1])


@pytest.fixture(scope="module")
def oracle() -> Iterator["subprocess.Popen[str]"]:
    node, npm = shutil.which("node"), shutil.which("npm")
    if not node or not npm:
        pytest.skip("node and npm are not installed: not compared with vscode-languageserver-textdocument")
    if not (ORACLE / "node_modules" / "vscode-languageserver-textdocument").is_dir():
        subprocess.run([npm, "ci", "--no-audit", "--no-fund"], cwd=ORACLE, check=True, stdout=subprocess.DEVNULL)
    with subprocess.Popen(
        [node, "oracle.js"], cwd=ORACLE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8"
    ) as process:
        yield process
        process.stdin.close()


def ask(oracle: "subprocess.Popen[str]", case: Sequence) -> list[dict]:
    def position(place):
        return {"line": place.line, "character": place.character}

    def change(where, text):
        return {"text": text} | ({"range": {k: position(getattr(where, k)) for k in ("start", "end")}} if where else {})

    steps = [[change(*pair) for pair in step] for step in case.steps]
    request = {"text": case.text, "steps": steps, "probes": [position(probe) for probe in case.probes]}
    oracle.stdin.write(json.dumps(request) + "\n")
    oracle.stdin.flush()
    return json.loads(oracle.stdout.readline())


def test_equals_vscode_textdocument(oracle, piece_size):
    for seed in range(500):
        case = sequence(seed)
        document = Document.open("file:///x", "x", 0, case.text)
        for version, (step, answer) in enumerate(zip(case.steps, ask(oracle, case), strict=True), 1):
            document = document.edited(step, version, Encoding.UTF16)
            text = document.text
            assert text == answer["text"], seed
            assert document.line_count == answer["lines"], seed
            for probe, offset in zip(case.probes, answer["offsets"], strict=True):
                assert units(text[: document.offset_at(probe, Encoding.UTF16)], Encoding.UTF16) == offset, seed
            used = 0
            for offset in range(len(text) + 1):
                place = document.position_at(offset, Encoding.UTF16)
                assert [place.line, place.character] == answer["positions"][used], (seed, offset)
                used += units(text[offset : offset + 1], Encoding.UTF16)


@pytest.mark.parametrize("encoding", Encoding)
def test_equals_the_plain_definition(encoding, piece_size):
    for seed in range(10_000, 10_300):
        case = sequence(seed)
        document = Document.open("file:///x", "x", 0, case.text)
        text = naive.edited("", None, case.text, encoding)
        for version, step in enumerate(case.steps, 1):
            document = document.edited(step, version, encoding)
            for where, new in step:
                text = naive.edited(text, where, new, encoding)
            check(document, text, encoding, case, seed)
            assert document.version == version


def check(document: Document, text: str, encoding: Encoding, case: Sequence, seed: int) -> None:
    assert document.text == text, seed
    assert len(document) == len(text)
    rows = naive.lines(text)
    assert document.line_count == len(rows)
    for line, (start, end) in enumerate(rows):
        assert (document.line_start(line), document.line_end(line)) == (start, end), (seed, line)
        assert document.line_text(line) == text[start:end]
    for probe in case.probes:
        assert document.offset_at(probe, encoding) == naive.offset_at(text, probe, encoding), (seed, probe)
    for offset in range(len(text) + 1):
        place = document.position_at(offset, encoding)
        assert place == naive.position_at(text, offset, encoding), (seed, offset)
        assert document.line_of(offset) == place.line
    middle = len(text) // 2
    assert document.slice(middle // 2, middle + 3) == text[middle // 2 : middle + 3]
    pieces = [chunk.text for chunk in document.chunks]
    assert len(pieces) == 1 or all(pieces)
    assert not any(map(belong_together, pieces, pieces[1:])), seed
