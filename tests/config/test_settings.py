import json
import subprocess
import sys
from pathlib import Path

import pytest

from starfill.config.access_policy import AccessPolicy
from starfill.config.checks import OwnInstruction
from starfill.config.parse import FIELDS, parse
from starfill.config.reference import schema, table
from starfill.config.settings import Settings

OWN = {"title": "Use pathlib", "instruction": "Use pathlib instead of os.path."}
ROOT = Path(__file__).parents[2]
DOCUMENTED = ROOT / "docs/settings.md"


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


@pytest.mark.parametrize(
    ("globs", "uri", "excluded"),
    [
        (["**/*.env"], "file:///home/me/project/.env", True),
        (["**/*.env"], "file:///home/me/project/prod.env", True),
        (["**/*.env"], "file:///home/me/env.py", False),
        (["*.env"], "file:///home/me/deep/down/prod.env", True),
        (["secrets"], "file:///home/me/secrets/a/b.py", True),
        (["secrets/"], "file:///home/me/secrets/a.py", True),
        (["secrets/*.py"], "file:///home/me/secrets/a.py", True),
        (["secrets/*.py"], "file:///home/me/secrets/deep/a.py", False),
        (["secrets/**/a.py"], "file:///home/me/secrets/a.py", True),
        (["secrets/**/a.py"], "file:///home/me/secrets/x/y/a.py", True),
        (["secrets/**"], "file:///home/me/secrets/x/y/a.py", True),
        (["my secrets"], "file:///home/me/my%20secrets/a.py", True),
        (["secrets"], "file:///home/me/nosecrets.py", False),
        (["/home/me"], "file:///home/me/a.py", True),
        (["/me"], "file:///home/me/a.py", False),
        (["?.py"], "file:///home/me/a.py", True),
        (["?.py"], "file:///home/me/ab.py", False),
        (["a.py"], "file:///c%3A/Users/me/a.py", True),
        (["c:/Users"], "file:///c%3A/Users/me/a.py", True),
        (["[x].py"], "file:///home/[x].py", True),
        (["x.py", "Untitled*"], "untitled:Untitled-1", True),
        ([], "file:///home/me/a.py", False),
    ],
)
def test_excluded_globs(globs, uri, excluded):
    settings, _ = parse({"excludedGlobs": globs})
    reason = AccessPolicy.of(settings).refusal(uri, "python")
    assert (reason is not None) == excluded == (not AccessPolicy.of(settings).keeps(uri))
    if reason:
        assert f'excludedGlobs lists "{globs[-1]}"' in reason


@pytest.mark.parametrize(
    ("languages", "enabled"),
    [(["*"], True), (["python"], True), (["lua", "python"], True), (["lua"], False), ([], False)],
)
def test_enabled_languages(languages, enabled):
    settings, _ = parse({"enabledLanguages": languages})
    reason = AccessPolicy.of(settings).refusal("file:///a.py", "python")
    assert (reason is None) == enabled
    if reason:
        assert 'language "python"' in reason


def test_the_table_in_the_documentation():
    text = DOCUMENTED.read_text(encoding="utf-8")
    begin, end = "<!-- settings:begin -->\n", "\n<!-- settings:end -->"
    assert begin in text and end in text, "docs/settings.md has no block for the settings"
    assert text.split(begin)[1].split(end)[0].strip() == table(), "run `python -m starfill.config.reference`"


def test_the_module_prints_the_table():
    run = subprocess.run(
        [sys.executable, "-m", "starfill.config.reference"], capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == table()
    assert all(f"| `{name}` |" in run.stdout for name in FIELDS)


def test_the_module_prints_a_schema_for_editors():
    command = [sys.executable, "-m", "starfill.config.reference", "--json"]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    printed = json.loads(run.stdout)
    assert printed == json.loads(json.dumps(schema()))
    assert list(printed) == [f"starfill.{name}" for name in FIELDS]
    assert printed["starfill.device"] == {
        "type": "string",
        "enum": ["auto", "cpu", "cuda"],
        "default": "auto",
        "description": FIELDS["device"].metadata["description"],
    }
    assert printed["starfill.candidates"].items() >= {"type": "integer", "minimum": 1, "maximum": 8}.items()
    assert printed["starfill.enabled"].items() >= {"type": "boolean", "default": True}.items()
    assert printed["starfill.disabledLanguages"]["items"] == {"type": "string"}
    own = printed["starfill.instructions"]["items"]
    assert own["required"] == ["title", "instruction"]
    assert own["properties"]["placement"]["enum"] == ["replace", "insert-before", "insert-after", "show"]


def test_the_settings_of_the_extension_for_vs_code():
    manifest = json.loads((ROOT / "clients" / "vscode" / "package.json").read_text(encoding="utf-8"))
    own = ("starfill.server.", "starfill.trace.")
    shown = manifest["contributes"]["configuration"]["properties"]
    servers = {name: each for name, each in shown.items() if not name.startswith(own)}
    declared = {
        name: {("markdownDescription" if key == "description" else key): value for key, value in each.items()}
        for name, each in json.loads(json.dumps(schema())).items()
    }
    scopes = {name: each.pop("scope") for name, each in servers.items() if "scope" in each}
    assert servers == declared, "run `npm run settings` in clients/vscode"
    redirecting = {f"starfill.engine.{name}" for name in ("url", "apiKeyEnv", "apiKeyFile", "tokenizer")}
    assert redirecting <= set(manifest["capabilities"]["untrustedWorkspaces"]["restrictedConfigurations"])
    assert scopes == {
        "starfill.engine.url": "machine-overridable",
        "starfill.engine.apiKeyEnv": "machine",  # a folder names no key, trusted or not
        "starfill.engine.apiKeyFile": "machine",
    }


def test_a_schema_s_own_defaults_are_right():
    assert parse({name.removeprefix("starfill."): each["default"] for name, each in schema().items()}) == (
        Settings(),
        [],
    )
