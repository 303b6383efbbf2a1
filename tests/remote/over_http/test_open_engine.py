"""From the settings to an engine, its tokenizer and its dialect."""

import json
import threading

import pytest

from remote.fake_engine import Fault
from remote.opened import BUNDLED, open_at
from starfill.assist.prompts.detect import family_named
from starfill.checkpoint.tokenizer import CheckpointTokenizer
from starfill.errors import SettingsError, StarfillError

OWN = CheckpointTokenizer.from_folder(BUNDLED, 0)


def bundled_text(ids):
    return b"".join(OWN.token_bytes[id] for id in ids).decode()


@pytest.mark.parametrize(
    ("model", "family"),
    [
        ("TheBloke/WizardCoder-Python-13B-V1.0-GPTQ", "wizardcoder-python"),
        ("WizardLM/WizardCoder-Python-34B-V1.0", "wizardcoder-python"),
        ("wizardcoder-python-13b-v1.0.Q4_K_M.gguf", "wizardcoder-python"),
        ("TheBloke/WizardCoder-15B-1.0-GPTQ", "wizardcoder"),
        ("TheBloke/CodeLlama-70B-Instruct-GPTQ", "codellama-70b"),
        ("codellama/CodeLlama-70b-Instruct-hf", "codellama-70b"),
        ("codellama/CodeLlama-70b-hf", "llama"),
        ("TheBloke/CodeLlama-34B-Instruct-GPTQ", "llama"),
        ("Phind/Phind-CodeLlama-34B-v2", "llama"),
        ("codellama/CodeLlama-7b-hf", "codellama"),
        ("TheBloke/CodeLlama-13B-Instruct-GPTQ", "codellama"),
        ("codellama-7b.Q4_K_M.gguf", "codellama"),
        ("bigcode/starcoder2-15b", "starcoder2"),
        ("bigcode/starcoder2-15b-instruct-v0.1", "starcoder2"),
        ("TheBloke/starcoder-GPTQ", "starcoder"),
        ("bigcode/starcoderbase-1b", "starcoder"),
        ("bigcode/tiny_starcoder_py", "starcoder"),
        ("bigcode/gpt_bigcode-santacoder", "santacoder"),
        ("Qwen/Qwen2.5-Coder-7B", "qwen2.5-coder"),
        ("Qwen/Qwen2.5-Coder-32B-Instruct-AWQ", "qwen2.5-coder"),
        ("qwen2.5-coder-7b-instruct-q4_k_m.gguf", "qwen2.5-coder"),
        ("deepseek-ai/deepseek-coder-6.7b-base", "deepseek-coder"),
        ("deepseek-ai/DeepSeek-Coder-V2-Lite-Instruct", "deepseek-coder"),
        ("google/codegemma-7b-it", "codegemma"),
        ("mistralai/Codestral-22B-v0.1", "codestral"),
        ("ibm-granite/granite-8b-code-base-4k", "granite"),
        ("TheBloke/Llama-2-70B-chat-GPTQ", "llama"),
        ("starfill-bundled.gguf", "starfill"),
    ],
)
def test_families_by_their_published_names(model, family, fake, opened):
    assert family_named([model]).name == family
    found = opened(fake("vllm", model))
    assert found.dialect.family.name == family
    assert (found.engine.info.name, found.engine.info.kernel) == (model, "text")


def test_a_name_that_says_nothing(fake, opened):
    engine = fake("vllm", "team/model")
    with pytest.raises(SettingsError, match=r'"team/model" doesn\'t tell .*"starfill\.engine\.family".*tokenizer"'):
        opened(engine)
    assert opened(engine, engine_family="codellama").dialect.family.name == "codellama"


def test_the_setting_overrules_the_name(fake, opened):
    found = opened(fake("vllm", "bigcode/starcoder2-15b"), engine_family="qwen2.5-coder")
    assert found.dialect.family.name == "qwen2.5-coder"


def test_what_a_name_stands_for_counts_first(fake, opened):
    engine = fake("vllm")
    entry = {"id": "starcoder", "root": "codellama/CodeLlama-7b-hf", "owned_by": "vllm"}
    engine.instead["/v1/models"] = Fault(body=json.dumps({"data": [entry]}))
    found = opened(engine)
    assert found.dialect.family.name == "codellama"
    found.ask()
    assert engine.asked[0].body["model"] == "starcoder"


@pytest.mark.parametrize("kind", ["vllm", "sglang", "llama.cpp"])
def test_the_bundled_tokenizer(kind, fake, opened):
    engine = fake(kind, "starfill-bundled")
    engine.detokenize = bundled_text
    found = opened(engine, engine_tokenizer="bundled")
    assert (found.engine.info.kernel, found.dialect.family.name) == ("token ids", "starfill")
    found.ask("x = <fim_middle>")
    assert engine.asked[0].body["prompt"] == OWN.encode("x = <fim_middle>")


def test_a_tokenizer_where_the_engine_can_not_be_asked(fake, opened):
    """The user says so."""
    found = opened(fake("vllm", "team/model"), engine_tokenizer="bundled", engine_family="starfill")
    assert found.engine.info.kernel == "token ids"


def test_a_space_that_the_engine_puts_first(fake, opened):
    engine = fake("vllm", "starfill-bundled")
    engine.detokenize = lambda ids: " " + bundled_text(ids)
    assert opened(engine, engine_tokenizer="bundled").engine.info.kernel == "token ids"


@pytest.mark.parametrize("text", ["something else", "", 5])
def test_a_tokenizer_of_another_model(text, fake, opened):
    engine = fake("vllm", "starfill-bundled")
    engine.detokenize = lambda ids: text
    if text == 5:
        assert opened(engine, engine_tokenizer="bundled").engine.info.kernel == "token ids"  # nothing to compare
        return
    with pytest.raises(SettingsError, match=r'tokenizer" is "bundled", but starfill-bundled at .* has other tokens'):
        opened(engine, engine_tokenizer="bundled")


@pytest.mark.parametrize("kind", ["openai", "tgi"])
def test_a_tokenizer_for_an_engine_that_takes_text(kind, fake, opened):
    with pytest.raises(
        SettingsError, match=f'tokenizer" is "bundled", but an engine of the kind {kind} takes only text'
    ):
        opened(fake(kind), engine_tokenizer="bundled")


@pytest.mark.parametrize("tokenizer", ["/no/such/folder", "nobody/has-pulled-this"])
def test_a_tokenizer_that_is_not_here(tokenizer, fake, opened):
    with pytest.raises(StarfillError, match=rf"{tokenizer}.*"):
        opened(fake("vllm"), engine_tokenizer=tokenizer)


def test_ids_that_stop_are_sent_only_with_ids(fake, opened):
    text, ids = fake("vllm", "bigcode/starcoder"), fake("vllm", "starfill-bundled")
    ids.detokenize = bundled_text
    found = opened(ids, engine_tokenizer="bundled")
    found.ask()
    opened(text).ask()
    assert ids.asked[0].body["stop_token_ids"] == sorted(found.dialect.stop_ids) != []
    assert text.asked[0].body["stop_token_ids"] == []  # of the stand-in they would mean other tokens


def test_the_thread_ends_with_what_could_not_be_opened(fake):
    with pytest.raises(SettingsError):
        open_at(fake("openai", "team/model").url)
    assert not [thread for thread in threading.enumerate() if thread.name == "network"]
