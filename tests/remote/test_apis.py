"""What each kind of engine is asked, and how its events are read."""

import re

import pytest

from remote.grammars import unescaped, unquoted
from starfill.jobs import Sampling
from starfill.remote.apis.api import AnswerPart, Ask, count_of
from starfill.remote.discovery import KINDS

GREEDY = Sampling()
SAMPLED = Sampling(0.5, 0.9, 7)
UNSEEDED = Sampling(0.5, 1.0)
VLLM = {"top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0, "stream_options": {"include_usage": True}}
LLAMA = {"top_k": 0, "min_p": 0.0, "cache_prompt": True, "timings_per_token": True, "stream": True}


def ask(prompt, sampling=GREEDY, **more):
    return Ask(model="m", prompt=prompt, max_tokens=9, sampling=sampling, **more)


def openai(prompt, **more):
    return {"model": "m", "prompt": prompt, "max_tokens": 9, "stream": True, **more}


def tgi(**more):
    always = {"max_new_tokens": 9, "return_full_text": False, "details": True}
    return {"inputs": "x", "parameters": always | more, "stream": True}


def llama(prompt, **more):
    return {"prompt": prompt, "n_predict": 9, "id_slot": -1, **LLAMA, **more}


@pytest.mark.parametrize(
    ("kind", "asked", "body"),
    [
        ("openai", ask("x"), openai("x", temperature=0.0)),
        ("openai", ask("x", SAMPLED), openai("x", temperature=0.5, top_p=0.9, seed=7)),
        ("openai", ask("x", UNSEEDED), openai("x", temperature=0.5, top_p=1.0)),
        ("vllm", ask((1, 2)), openai([1, 2], temperature=0.0, stop_token_ids=[], **VLLM)),
        (
            "vllm",
            ask((1, 2), SAMPLED, stop_ids=frozenset({9, 3})),
            openai([1, 2], temperature=0.5, top_p=0.9, seed=7, stop_token_ids=[3, 9], **VLLM),
        ),
        ("sglang", ask("x"), openai("x", temperature=0.0, stop_token_ids=[], **VLLM)),
        (
            "vllm",
            ask("x", begins="a.b"),
            openai("x", temperature=0.0, stop_token_ids=[], structured_outputs={"regex": r"a\.b[\s\S]*"}, **VLLM),
        ),
        (
            "sglang",
            ask("x", begins="re"),
            openai("x", temperature=0.0, stop_token_ids=[], regex=r"re[\s\S]*", **VLLM),
        ),
        ("tgi", ask("x"), tgi(do_sample=False)),
        ("tgi", ask("x", SAMPLED), tgi(do_sample=True, temperature=0.5, top_p=0.9, seed=7)),
        ("tgi", ask("x", UNSEEDED), tgi(do_sample=True, temperature=0.5)),  # it refuses a top_p of 1
        ("llama.cpp", ask((1, 2)), llama([1, 2], temperature=0.0, top_p=1.0, seed=-1)),
        ("llama.cpp", ask("x", SAMPLED), llama("x", temperature=0.5, top_p=0.9, seed=7)),
        ("llama.cpp", ask("x", slot=0), llama("x", temperature=0.0, top_p=1.0, seed=-1, id_slot=0)),
        (
            "llama.cpp",
            ask("x", begins="re"),
            llama("x", temperature=0.0, top_p=1.0, seed=-1, grammar='root ::= "re" .*'),
        ),
    ],
)
def test_bodies(kind, asked, body):
    assert KINDS[kind]().body(asked) == body


@pytest.mark.parametrize(
    ("text", "literal"),
    [
        ("return", '"return"'),
        ('say("', r'"say(\""'),
        ("a\\n", r'"a\\n"'),
        ("a\n\tb\r", r'"a\x0A\x09b\x0D"'),
        ("\x00\x1b", r'"\x00\x1B"'),
        ("é漢🎉", '"é漢🎉"'),
        ("[^a].*|{}", '"[^a].*|{}"'),
    ],
)
def test_a_grammar_quotes_what_an_answer_must_begin_with(text, literal):
    body = KINDS["llama.cpp"]().body(ask("x", begins=text))
    assert body["grammar"] == f"root ::= {literal} .*"
    assert unquoted(body["grammar"]) == text


def test_a_grammar_has_no_other_escapes_than_those_that_it_knows():
    text = "".join(map(chr, range(0x20))) + "".join(map(chr, range(0x20, 0x7F)))
    literal = KINDS["llama.cpp"]().body(ask("x", begins=text))["grammar"]
    assert set(re.findall(r"\\(.)", literal)) == {"x", '"', "\\"}
    assert unquoted(literal) == text


def test_a_regular_expression_matches_what_an_answer_must_begin_with():
    text = "".join(map(chr, range(0x7F))) + "\n0a é漢🎉 (a|b)* \\n"
    regex = KINDS["sglang"]().body(ask("x", begins=text))["regex"]
    assert re.fullmatch(regex, f"{text} and\nmore")
    assert not re.match(regex, text[1:])
    assert unescaped(regex) == text
    assert "\n" not in regex


def choice(text, finish=None, **more):
    return {"choices": [{"index": 0, "text": text, "finish_reason": finish}], **more}


USAGE = {"prompt_tokens": 9, "prompt_tokens_details": {"cached_tokens": 4}}


def token(text, special=False, **details):
    return {"token": {"id": 1, "text": text, "special": special}, "details": details or None}


def content(text, stop=False, **more):
    return {"content": text, "stop": stop, **more}


@pytest.mark.parametrize(
    ("kind", "event", "piece"),
    [
        ("openai", choice("a"), AnswerPart("a")),
        ("openai", choice(None, "stop"), AnswerPart("", "stop")),
        ("openai", choice("a", "length", usage=None), AnswerPart("a", "length")),
        ("openai", choice("", "eos", usage={}), AnswerPart("", "stop")),
        ("vllm", {"choices": [], "usage": USAGE}, AnswerPart(prompt_tokens=9, cached_tokens=4)),
        ("vllm", choice("a", usage=USAGE), AnswerPart("a", None, 9, 4)),
        (
            "vllm",
            {"choices": [], "usage": {"prompt_tokens": 9, "prompt_tokens_details": None}},
            AnswerPart(prompt_tokens=9),
        ),
        ("sglang", choice("a", "stop"), AnswerPart("a", "stop")),
        ("tgi", token("a"), AnswerPart("a")),
        ("tgi", token("a", finish_reason="length", input_length=7), AnswerPart("a", "length", 7)),
        ("tgi", token("</s>", True, finish_reason="eos_token", input_length=7), AnswerPart("", "stop", 7)),
        ("tgi", token("a", finish_reason="stop_sequence"), AnswerPart("a", "stop")),
        ("tgi", token("<fim_middle>", True), AnswerPart("", "stop")),
        ("llama.cpp", content("a"), AnswerPart("a")),
        ("llama.cpp", content("a", id_slot=3, timings={"cache_n": 5, "prompt_n": 2}), AnswerPart("a", None, 7, 5)),
        ("llama.cpp", content("", True, stop_type="eos"), AnswerPart("", "stop")),
        ("llama.cpp", content("", True, stop_type="limit"), AnswerPart("", "length")),
        ("llama.cpp", content("", True, stop_type="word", id_slot=-1), AnswerPart("", "stop")),
    ],
)
def test_events(kind, event, piece):
    assert KINDS[kind]().read(event) == piece


WRONG = [
    *((kind, {}) for kind in KINDS),
    *((kind, choice(5)) for kind in ("openai", "vllm", "sglang")),
    *((kind, choice("a", "flood")) for kind in ("openai", "vllm")),
    *((kind, choice("a", ["stop"])) for kind in ("openai", "vllm")),
    ("openai", {"choices": "a"}),
    ("openai", {"choices": [None]}),
    ("openai", {"choices": 5}),
    ("vllm", choice("a", usage=5)),
    ("vllm", choice("a", usage={"prompt_tokens_details": "many"})),
    ("tgi", {"token": "a"}),
    ("tgi", token(None)),
    ("tgi", token("a", finish_reason="flood")),
    ("tgi", {"token": {"text": "a"}, "details": 5}),
    ("llama.cpp", {"content": "a"}),
    ("llama.cpp", content(7)),
    ("llama.cpp", content("a", True)),
    ("llama.cpp", content("a", True, stop_type="flood")),
    ("llama.cpp", content("a", timings="slow")),
]


@pytest.mark.parametrize(("kind", "event"), WRONG)
def test_what_is_no_event(kind, event):
    with pytest.raises((KeyError, TypeError, IndexError, ValueError, AttributeError)):
        KINDS[kind]().read(event)


@pytest.mark.parametrize(
    ("value", "count"),
    [(0, 0), (7, 7), (-1, None), (True, None), (1.5, None), ("7", None), (None, None), ([], None)],
)
def test_counts(value, count):
    assert count_of(value) == count
