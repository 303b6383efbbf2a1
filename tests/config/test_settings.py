"""None"""

import json

import pytest

from starfill.config.checks import OwnInstruction
from starfill.config.parse import FIELDS, parse
from starfill.config.settings import Settings

OWN = {"title": "Use pathlib", "instruction": "Use pathlib instead of os.path."}


def test_nothing_means_the_defaults():
    assert parse({}) == (Settings(), [])


def test_all_settings():
    raw = {
        "model": "/models/starcoder",
        "device": "cpu",
        "family": "starcoder2",
        "layout": "spm",
        "contextTokens": 1024,
        "maxNewTokens": 32,
        "multiLine": "never",
        "temperature": 1,
        "topP": 0.9,
        "candidates": 8,
        "cacheBytes": 1_000_000,
        "savedStateBytes": 2_000_000,
        "enabled": False,
        "disabledLanguages": ["markdown"],
        "enabledLanguages": ["python", "lua"],
        "excludedGlobs": ["**/*.env"],
        "instruct.model": "/models/wizardcoder",
        "engine.url": "https://engine.example.com/v1",
        "engine.kind": "vllm",
        "engine.model": "wizardcoder",
        "engine.family": "wizardcoder-python",
        "engine.tokenizer": "bundled",
        "engine.apiKeyEnv": "ENGINE_KEY",
        "engine.apiKeyFile": "~/.engine-key",
        "engine.use": "completions",
        "engine.latencyBudgetMs": 250,
        "instructions": [OWN],
    }
    settings, problems = parse(raw)
    assert problems == []
    assert raw.keys() == FIELDS.keys()
    assert {name: getattr(settings, item.name) for name, item in FIELDS.items()} == raw | {
        "disabledLanguages": ("markdown",),
        "enabledLanguages": ("python", "lua"),
        "excludedGlobs": ("**/*.env",),
        "instructions": (OwnInstruction(**OWN),),
    }


@pytest.mark.parametrize(
    ("engine", "instruct_model", "own"),
    [
        ({}, "", ""),
        ({}, "bundled", ""),
        ({}, "other", "other"),
        ({"url": "http://a"}, "", ""),  # the engine does both
        ({"url": "http://a"}, "other", "other"),
        ({"url": "http://a"}, "bundled", "bundled"),
        ({"url": "http://a", "use": "actions"}, "", "http://a"),
        ({"url": "http://a", "use": "actions"}, "bundled", ""),
        ({"url": "http://a", "use": "completions"}, "", "bundled"),
        ({"url": "http://a", "use": "completions", "latencyBudgetMs": 9}, "", ""),  # what is loaded to suggest does it
        ({"url": "http://a", "use": "completions", "latencyBudgetMs": 9}, "other", "other"),
    ],
)
def test_what_answers_the_actions(engine, instruct_model, own):
    settings, problems = parse({"engine": engine, "instruct.model": instruct_model})
    assert problems == [] and settings.own_instruct_model == own


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"latencyBudgetMs": 20}, True),
        ({"latencyBudgetMs": 0}, False),
        ({"url": "http://b"}, False),
        ({"kind": "tgi"}, False),
    ],
)
def test_which_changes_mean_another_engine(change, same):
    engine = {"url": "http://a", "latencyBudgetMs": 10}
    before, after = (parse({"engine": each})[0].engine for each in (engine, engine | change))
    assert (before == after) == same
    assert Settings().engine == parse({"engine": change | {"url": ""}})[0].engine == ()


def test_null_means_the_default():
    assert parse(dict.fromkeys(FIELDS)) == (Settings(), [])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("model", ""),
        ("model", 3),
        ("device", "gpu"),
        ("device", ["cpu"]),
        ("layout", "PSM"),
        ("family", "gpt-4"),
        ("contextTokens", -1),
        ("contextTokens", "2048"),
        ("maxNewTokens", 0),
        ("maxNewTokens", 1.5),
        ("maxNewTokens", True),
        ("multiLine", True),
        ("temperature", 2.1),
        ("temperature", float("nan")),
        ("topP", 0),
        ("candidates", 9),
        ("cacheBytes", "512 MiB"),
        ("cacheBytes", float("inf")),
        ("savedStateBytes", -1),
        ("savedStateBytes", True),
        ("enabled", 1),
        ("enabled", "no"),
        ("disabledLanguages", "markdown"),
        ("enabledLanguages", "python"),
        ("enabledLanguages", ["python", 1]),
        ("excludedGlobs", {"**/*.env": True}),
        ("instruct.model", " "),
        ("instruct.model", 3),
        ("instructions", OWN),
        ("instructions", "Use pathlib"),
    ],
)
def test_a_wrong_value_is_named_and_defaulted(name, value):
    settings, problems = parse({name: value, "candidates" if name != "candidates" else "maxNewTokens": 2})
    assert len(problems) == 1
    assert f'"starfill.{name}" is {json.dumps(value)}, but must be ' in problems[0]
    assert problems[0].endswith("is used.")
    default = Settings()
    assert getattr(settings, FIELDS[name].name) == getattr(default, FIELDS[name].name)
    assert settings != default  # the other setting holds


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        ({"modle": "x"}, 'There is no setting "starfill.modle": did you mean "model"?'),
        ({"max_new_tokens": 3}, 'There is no setting "starfill.max_new_tokens": did you mean "maxNewTokens"?'),
        ({"?": 3}, 'There is no setting "starfill.?": known are model, device,'),
        ({"instruct.modle": "x"}, 'There is no setting "starfill.instruct.modle": did you mean "instruct.model"?'),
        ({"instruct": {"modle": 3}}, 'There is no setting "starfill.instruct.modle": did you mean "instruct.model"?'),
        ({"instruct": "/models/x"}, 'There is no setting "starfill.instruct": did you mean "instruct.model"?'),
        ({"instruction": []}, 'There is no setting "starfill.instruction": did you mean "instructions"?'),
        ([1], "The settings are [1], but must be an object; the defaults are used."),
    ],
)
def test_unknown_settings(raw, problem):
    settings, (sentence,) = parse(raw)
    assert settings == Settings()
    assert sentence.startswith(problem)


@pytest.mark.parametrize(
    "raw",
    [
        {"instruct": {"model": "/models/wizardcoder"}},
        {"instruct.model": "/models/wizardcoder"},
        {"instruct.model": "/models/other", "instruct": {"model": "/models/wizardcoder"}},
        {"instruct": {"model": "/models/other"}, "instruct.model": "/models/wizardcoder"},
    ],
)
def test_a_section_is_an_object_or_a_dot(raw):
    assert parse(raw) == (Settings(instruct_model="/models/wizardcoder"), [])


@pytest.mark.parametrize("raw", [{"instruct": None}, {"instruct": {}}, {"instruct": {"model": ""}}])
def test_no_model_of_its_own_for_instructions(raw):
    assert parse(raw) == (Settings(), [])


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (3, 'The setting "starfill.instructions[1]" is 3, but must be an object with "title" and "instruction".'),
        ({"title": "x"}, 'The setting "starfill.instructions[1]" has no "instruction".'),
        ({"instruction": "x", "title": None}, 'The setting "starfill.instructions[1]" has no "title".'),
        ({**OWN, "title": " "}, 'The setting "starfill.instructions[1].title" is " ", but must be text.'),
        (
            {**OWN, "placement": "above"},
            'The setting "starfill.instructions[1].placement" is "above", but must be one of "replace", '
            '"insert-before", "insert-after", "show".',
        ),
        (
            {**OWN, "kind": "refactoring"},
            'The setting "starfill.instructions[1].kind" is "refactoring", but must be "quickfix", "refactor", "source"'
            ' or one below them like "refactor.rewrite".',
        ),
        (
            {**OWN, "languages": "python"},
            'The setting "starfill.instructions[1].languages" is "python", but must be a list of language identifiers.',
        ),
        (
            {**OWN, "placment": "show"},
            'There is no setting "starfill.instructions[1].placment": did you mean "placement"?',
        ),
        ({**OWN, "?": 1}, 'There is no setting "starfill.instructions[1].?": known are title, instruction, kind,'),
        ({"title": "first", "instruction": "x"}, 'The setting "starfill.instructions[1].title" is "first", which an'),
    ],
)
def test_a_wrong_instruction_is_named_and_left_out(wrong, sentence):
    first = {"title": "first", "instruction": "Do it.", "placement": "insert-before", "kind": "refactor.extract.x"}
    last = {"title": "last", "instruction": "Do.", "placement": "show", "languages": ["go"], "kind": None}
    settings, problems = parse({"instructions": [first, wrong, last], "candidates": 2})
    assert settings.instructions == (
        OwnInstruction("first", "Do it.", "refactor.extract.x", ("*",), "insert-before"),
        OwnInstruction("last", "Do.", "refactor.rewrite", ("go",), "show"),
    )
    assert settings.candidates == 2
    assert len(problems) == 1 and problems[0].startswith(sentence)
    assert problems[0].endswith(" This instruction is left out.")
