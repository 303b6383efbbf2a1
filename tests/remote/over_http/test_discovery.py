"""Who is there: told from what an engine says of itself."""

import json

import pytest

from remote.fake_engine import Fault
from remote.opened import KINDS, open_at
from starfill.errors import EngineError, SettingsError, StarfillError
from starfill.remote.address import Address
from starfill.remote.apis.api import Described
from starfill.remote.connect import connect

CODER = "WizardLM/WizardCoder-Python-13B-V1.0"


def described(engine, kind="auto", model=""):
    connected = connect(Address.parse(engine.url), "", kind, model)
    connected.close()
    return connected.api.name, connected.described


def says(found):
    return Fault(body=json.dumps(found))


def models(*names, owner="me"):
    return says({"data": [{"id": name, "owned_by": owner} for name in names]})


@pytest.mark.parametrize("wanted", ["auto", "its own"])
@pytest.mark.parametrize("kind", KINDS)
def test_each_kind(kind, wanted, fake):
    engine = fake(kind)
    name, found = described(engine, kind if wanted == "its own" else "auto")
    assert name == kind
    assert (found.model, found.known_as.rpartition("/")[2]) == (CODER, CODER.rpartition("/")[2])
    assert found.context_length == (0 if kind in ("openai", "sglang") else 4096)
    assert engine.asked == []


def test_a_name_that_stands_for_another(fake):
    engine = fake("vllm")
    entry = {"id": "coder", "root": CODER, "owned_by": "vllm", "max_model_len": 777}
    engine.instead["/v1/models"] = says({"data": [entry]})
    assert described(engine) == ("vllm", Described("coder", CODER, 777))


def test_a_file_of_llama_cpp_and_its_template(fake):
    engine = fake("llama.cpp", model="coder")
    path = "C:\\models\\CodeLlama-7B.Q4_K_M.gguf"
    engine.instead["/props"] = says({"model_path": path, "chat_template": "[INST]", "default_generation_settings": 5})
    assert described(engine) == ("llama.cpp", Described("coder", "CodeLlama-7B.Q4_K_M.gguf", 0, "[INST]"))


def test_llama_cpp_without_its_properties(fake):
    engine = fake("llama.cpp")
    engine.instead["/props"] = Fault(404)
    assert described(engine) == ("llama.cpp", Described(CODER, CODER))


def test_tgi_that_has_openai_too(fake):
    engine = fake("tgi")
    engine.instead["/v1/models"] = models(CODER, owner=CODER)
    assert described(engine)[0] == "tgi"


def test_one_of_several_models(fake):
    engine = fake("vllm")
    engine.instead["/v1/models"] = models("one", "two", owner="vllm")
    assert described(engine, model="two")[1].model == "two"


@pytest.mark.parametrize("model", ["", "three"])
def test_several_models_and_none_is_meant(model, fake):
    engine = fake("vllm")
    engine.instead["/v1/models"] = models("one", "two", owner="vllm")
    with pytest.raises(SettingsError, match=r'one, two: set "starfill.engine.model"') as error:
        described(engine, model=model)
    assert str(error.value).count("three") == bool(model)


def test_a_model_that_the_only_one_is_not(fake):
    with pytest.raises(SettingsError, match=f'has no model "other", it has {CODER}: set "starfill.engine.model"'):
        described(fake("vllm"), model="other")


def test_an_engine_that_lists_nothing_takes_any_name(fake):
    engine = fake("openai")
    engine.instead["/v1/models"] = Fault(404)
    assert described(engine, "openai", "coder") == ("openai", Described("coder", "coder"))
    with pytest.raises(SettingsError, match=r'doesn\'t say what it has: set "starfill.engine.model"'):
        described(engine, "openai")


@pytest.mark.parametrize(
    "garbage",
    [
        "",
        "<html>hello</html>",
        "null",
        "5",
        "[]",
        "{}",
        '{"data": null}',
        '{"data": 5}',
        '{"data": "vllm"}',
        '{"data": {"id": "x"}}',
        '{"data": [5, null, {}, {"id": 7}]}',
        '{"error": "Unexpected endpoint"}',
        "[" * 100_000,
        '{"data": ' * 50_000,
        "\x00\x01\x02",
    ],
    ids=lambda text: text[:20],
)
def test_garbage(garbage, fake):
    engine = fake("openai")
    for path in ("/v1/models", "/info"):
        engine.instead[path] = Fault(body=garbage)
    with pytest.raises(EngineError, match=f"^{engine.url} is no serving engine that Starfill knows"):
        described(engine)


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (Fault(401), r"wants another key \(401\)"),
        (Fault(403), r"wants another key \(403\)"),
        (Fault(302, headers={"Location": "/login"}), "is no serving engine"),
        (Fault(404), "is no serving engine"),
        (Fault(429, body='{"detail": "slowly"}'), r"is busy \(429\): slowly"),
        (Fault(500, body="oh"), r"\(500\): oh"),
        (Fault(503, body='{"error": {"message": "Loading model"}}'), r"is busy \(503\): Loading model"),
        (Fault(silent=True), "takes too long to answer"),
    ],
    ids=lambda value: "" if isinstance(value, str) else value.status,
)
def test_engines_that_do_not_say_it(fault, sentence, fake, impatience):
    engine = fake("vllm")
    engine.instead = dict.fromkeys(("/v1/models", "/info"), fault)
    with impatience(fault), pytest.raises(EngineError, match=f"^{engine.url} .*{sentence}"):
        described(engine)


def test_a_list_that_fails_is_not_needed_where_kind_and_model_are_set(fake):
    engine = fake("openai")
    engine.instead["/v1/models"] = Fault(500, body="no cache")
    name, found = described(engine, "openai", "/models/starfill")
    assert (name, found.model) == ("openai", "/models/starfill")
    with pytest.raises(EngineError, match="no cache"):
        described(engine, "openai")
    engine.stop()
    with pytest.raises(EngineError, match="can't be reached"):
        described(engine, "openai", "/models/starfill")


def test_nobody_there(fake):
    engine = fake("vllm")
    engine.stop()
    with pytest.raises(EngineError, match=f"^{engine.url} can't be reached"):
        described(engine)


@pytest.mark.parametrize("url", ["http://nobody.invalid", "http://xn--a.invalid"])
def test_no_such_name(url):
    with pytest.raises(StarfillError, match=r"can't be (reached|asked)"):
        connect(Address.parse(url), "", "auto", "")


def test_a_tiny_engine_is_opened_all_the_same(fake):
    engine = fake("vllm")
    engine.context = 64
    found = open_at(engine.url)
    assert found.engine.info.context_length == 64
    found.engine.close()
