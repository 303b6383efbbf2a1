"""The systems: Starfill and transformers as real processes, llama.cpp's server played by a small one of our own."""

import sys
from pathlib import Path

import pytest
import torch

from checkpoints.layout import entries
from checkpoints.random_checkpoint import SHAPES, Layout, write
from latency.cases import once
from latency.prompts import Prompter
from peers import dense, llama_build, llama_server
from peers.peer import Ask, Prompt
from peers.starfill_server import StarfillServer
from peers.transformers_generate import TransformersGenerate
from starfill.checkpoint.config import read_config
from starfill.checkpoint.weights import Weights
from starfill.config.folders import BUNDLED
from starfill.text.document import Document
from traces.typist import Change, Place

TEXT = "def add(left, right):\n    return left + right\n\n\ndef mul"
URI = "file:///code/calc.py"

LLAMA = """#!{python}
import http.server, json, sys

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def say(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.say(b"{{}}")

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        open({log!r}, "a").write(json.dumps([self.path, asked]) + "\\n")
        timings = {{"prompt_n": 2, "prompt_ms": 1.5, "cache_n": 40, "predicted_n": asked["n_predict"]}}
        events = [{{"content": "x"}}, {{"content": "", "timings": timings}}]
        self.say(b"".join(b"data: " + json.dumps(event).encode() + b"\\n\\n" for event in events))

    def log_message(self, *_):
        pass

port = int(sys.argv[sys.argv.index("--port") + 1])
http.server.HTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Path:
    """A quantized gpt_bigcode, small."""
    return write(tmp_path_factory.mktemp("tiny") / "gptq", SHAPES["tiny"], Layout(4, 32, desc_act=True))


def ask(ids=(1, 2, 3), tokens=4, **values):
    return Ask(
        **{"document": 0, "change": None, "cursor": Place(0, 0), "prompt": Prompt(ids, "P", "S", "t")} | values,
        tokens=tokens,
    )


def test_starfill_gets_the_prompt_that_the_others_get_and_computes_what_was_typed():
    prompter = Prompter(BUNDLED, 2048, 16)
    server = StarfillServer("bundled", BUNDLED, {"maxNewTokens": 16})
    try:
        server.open([URI], [TEXT])
        typed = Change(Place(4, 7), Place(4, 7), "(")
        answers = [server.complete(ask(cursor=Place(4, 7))), server.complete(ask(cursor=Place(4, 8), change=typed))]
        anchor = None
        for text, answer in zip((TEXT, TEXT + "("), answers, strict=True):
            prompt, anchor = prompter.plan(Document.open(URI, "python", 1, text), len(text), anchor)
            assert answer.prompt in (len(prompt.ids), 0)  # 0: typed through
        assert answers[0].computed == answers[0].prompt > 20
        assert answers[1].computed <= 2
        assert 0 < answers[0].first_ms <= answers[0].whole_ms
        assert answers[0].suggestion is None or answers[0].suggestion.start.line == 4
        server.edit(0, Change(Place(0, 0), Place(0, 0), "# a comment\n"))
        server.open(["file:///code/other.py"], ["x = "])
        assert server.complete(ask(cursor=Place(0, 4))).prompt < answers[0].prompt
    finally:
        server.close()


def test_a_model_that_cant_be_loaded_ends_the_run_at_once(tiny, tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(SystemExit, match=r"config\.json"):
        StarfillServer(str(tmp_path), tiny, {})


def test_dense_is_the_unquantized_checkpoint(tiny):
    found = {name: (tuple(tensor.shape), tensor.dtype) for name, tensor in dense.tensors(tiny)}
    wanted = entries(SHAPES["tiny"], Layout(bits=0))
    assert found == {name: (entry.shape, torch.float16) for name, entry in wanted.items()}


def test_transformers_answers_with_exactly_as_many_tokens(tiny, tmp_path):
    peer = TransformersGenerate(dense.write(tiny, tmp_path / "dense"), "float32")
    try:
        for tokens in (1, 5):
            answer = peer.complete(ask(ids=tuple(range(3, 40)), tokens=tokens))
            assert (answer.prompt, answer.computed, answer.generated, answer.steps) == (37, 37, tokens, tokens - 1)
            assert 0 < answer.first_ms <= answer.whole_ms
        shape = SHAPES["tiny"]
        weights = Weights.open(read_config(tmp_path / "dense"))
        assert peer.weight_bytes == 2 * weights.nbytes - 4 * shape.n_positions * shape.n_embd
        assert peer.kv_bytes == 2 * 2 * 32 * 4  # keys and values, layers, head, float32
    finally:
        peer.close()


@pytest.fixture
def llama(monkeypatch, tmp_path):
    """Starts a stand-in for llama-server; its log has the path and body of each request."""
    program, log = tmp_path / "llama-server", tmp_path / "log"
    program.write_text(LLAMA.format(python=sys.executable, log=str(log)))
    program.chmod(0o755)
    gguf = tmp_path / "model.gguf"
    monkeypatch.setattr(llama_server, "program", lambda name: program)
    started = []

    def start(**options):
        started.append(llama_server.LlamaServer(gguf, (10, 1), 512, 2, **options))
        return started[-1], log

    yield start
    for peer in started:
        peer.close()


@pytest.mark.parametrize("infill", [False, True])
def test_llama_is_asked_for_the_same_prompt_in_the_documents_slot(llama, infill):
    import json

    peer, log = llama(infill=infill)
    answer = peer.complete(ask(document=3, tokens=7))
    assert (answer.prompt, answer.computed, answer.generated, answer.steps) == (42, 2, 7, 6)
    assert 0 < answer.first_ms <= answer.whole_ms
    assert answer.prefill_ms == 1.5
    path, asked = json.loads(log.read_text())
    common = ("n_predict", "id_slot", "cache_prompt", "ignore_eos", "temperature")
    assert [asked[name] for name in common] == [7, 1, True, True, 0.0]
    if infill:
        assert path == "/infill"
        assert (asked["input_prefix"], asked["input_suffix"], asked["prompt"]) == ("P", "S", "t")
    else:
        assert (path, asked["prompt"]) == ("/completion", [1, 2, 3])


def test_a_server_that_ends_at_once_is_told(monkeypatch, tmp_path):
    monkeypatch.setattr(llama_server, "program", lambda name: "/bin/false")
    with pytest.raises(SystemExit, match="ended at once, with 1"):
        llama_server.LlamaServer(tmp_path / "model.gguf", (10, 1), 512, 1)


def test_a_missing_program_says_how_to_build_it(monkeypatch, tmp_path):
    monkeypatch.setattr(llama_build, "PROGRAMS", tmp_path)
    with pytest.raises(SystemExit, match="make bench-peers"):
        llama_build.program("llama-server")


def test_gguf_has_the_weights_under_llama_cpps_names(tiny, tmp_path):
    gguf = pytest.importorskip("gguf")
    from peers import gguf_file

    path = gguf_file.write(tiny, tmp_path / "model.gguf")
    stored = {tensor.name: tensor for tensor in gguf.GGUFReader(path).tensors}
    given = {gguf_file.renamed(name): tensor for name, tensor in dense.tensors(tiny)}
    assert stored.keys() == given.keys()
    assert "blk.1.ffn_down.weight" in stored
    for name, tensor in given.items():
        assert torch.equal(torch.from_numpy(stored[name].data.copy()).float(), tensor.float()), name
    weights, kv = gguf_file.bytes_a_token(path)
    whole = sum(int(tensor.n_bytes) for tensor in stored.values())
    assert weights == whole - 4 * SHAPES["tiny"].n_positions * SHAPES["tiny"].n_embd
    assert kv == 2 * 2 * 32 * 2  # keys and values, layers, head, float16


def test_half_a_file_never_counts(tmp_path):
    path = tmp_path / "folder" / "file"

    def fail(partial):
        partial.write_text("half")
        raise OSError

    with pytest.raises(OSError):
        once(path, fail)
    assert not path.exists()
    assert once(path, lambda partial: partial.write_text("whole")).read_text() == "whole"
    assert once(path, fail).read_text() == "whole"
    (tmp_path / "model.partial").mkdir()
    assert once(tmp_path / "model", Path.mkdir).is_dir()


def test_a_process_is_idle_and_its_peak_known():
    pytest.importorskip("psutil")
    import os

    from latency import machine

    machine.settle(os.getpid())
    assert 10e6 < machine.peak_bytes(os.getpid()) < 100e9
